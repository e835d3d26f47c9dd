"""The contracts, and the values that they speak of. Nothing here knows how anything is done.

`handler` is what users hold, `backend` and `store` are what authors of backends write, with the
helpers that stores share; `parameters` and `settings` say what is asked for, `endpoint` where, and
`errors` what went wrong.
"""
