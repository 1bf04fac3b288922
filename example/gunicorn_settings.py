"""gunicorn's settings that are not given on its command line."""

workers = 1
# Unlike a plain worker, one with threads may take longer over a download than its timeout.
threads = 4
graceful_timeout = 1
loglevel = "warning"
# A file in the user's home; versions before 25.1 do not know the setting, and pass over it here.
control_socket_disable = True
