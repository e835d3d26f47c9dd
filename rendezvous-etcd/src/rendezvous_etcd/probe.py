"""What a server speaks that hangs up on us."""

import socket
import ssl

_PATIENCE = 2.0


def speaks_tls(host: str, port: int) -> bool:
    """Whether it completes a handshake, whatever its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), _PATIENCE) as plain, context.wrap_socket(plain):
            return True
    except ssl.SSLError as error:
        return "ALERT" in str(error)  # it wants a certificate of ours
    except OSError:
        return False


def speaks_http(host: str, port: int) -> bool:
    """Whether it tells its version without TLS."""
    try:
        with socket.create_connection((host, port), _PATIENCE) as plain:
            plain.sendall(b"GET /version HTTP/1.0\r\n\r\n")
            return b" 200 " in plain.recv(100)
    except OSError:
        return False
