"""Who answers to a name: the hooks of plugins, and how plugins are found, loaded and asked."""
