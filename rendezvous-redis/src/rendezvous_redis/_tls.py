"""TLS as the options want it."""

import ssl
from pathlib import Path

from rendezvous_redis._options import RedisOptions


def tls_context(options: RedisOptions) -> ssl.SSLContext:
    """Load the certificates that ``options`` name. Certificates and host names are always verified.

    Raises:
        ValueError: a file cannot be used; names the option.
    """
    for name in ("ca_cert", "ssl_cert", "ssl_cert_key"):
        path = getattr(options, name)
        if path is not None and not Path(path).is_file():
            raise ValueError(f"The option '{name}' must be the path of a file; {path!r} is none.")
    try:
        context = ssl.create_default_context(cafile=options.ca_cert)
    except (OSError, ValueError) as error:
        raise ValueError(f"The option 'ca_cert' ({options.ca_cert!r}) cannot be used: {error}.") from error
    if options.ssl_cert is not None:
        try:
            # Without a passphrase at hand OpenSSL would ask for one on the terminal.
            context.load_cert_chain(options.ssl_cert, options.ssl_cert_key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise ValueError(
                f"The options 'ssl_cert' ({options.ssl_cert!r}) and 'ssl_cert_key' "
                f"({options.ssl_cert_key!r}) cannot be used: {error}."
            ) from error
    return context
