"""The servers that procpool-httpd is measured beside: one worker each, with what makes it fastest for small cached
files and for large ones. No access log, files and their facts cached, sendfile where it pays."""

import os

NGINX = """
{user}
worker_processes {workers};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout 600;
  keepalive_requests 1000000000;
  open_file_cache max=1000 inactive=600s;
  open_file_cache_valid 600s;
  server {{
    listen 127.0.0.1:{port} deferred;
    root {site};
    location /small/ {{ sendfile off; }}
    location /large/ {{ sendfile on; tcp_nopush on; }}
  }}
}}
"""

LIGHTTPD = """
server.document-root = "{site}"
server.bind = "127.0.0.1"
server.port = {port}
server.defer-accept = 1
server.errorlog = "{folder}/lighttpd.log"
server.event-handler = "linux-sysepoll"
server.network-backend = "sendfile"
server.stat-cache-engine = "inotify"
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 600
server.max-fds = 4096
mimetype.assign = ( ".bin" => "application/octet-stream" )
"""

H2O = """
listen:
  host: 127.0.0.1
  port: {port}
{user}
num-threads: 1
pid-file: {folder}/h2o.pid
error-log: {folder}/h2o.log
max-connections: 4096
http1-request-timeout: 600
hosts:
  default:
    paths:
      /:
        file.dir: {site}
        file.send-compressed: OFF
"""


def _write(folder, name, text, **values):
    path = folder / name
    path.write_text(text.format(folder=folder, **values))
    return path


def nginx(folder, site, port, workers=1, connections=1024):
    user = "user root;" if os.geteuid() == 0 else ""
    how = {"user": user, "workers": workers, "connections": connections}
    configuration = _write(folder, "nginx.conf", NGINX, site=site, port=port, **how)
    return ["nginx", "-e", folder / "nginx.log", "-p", folder, "-c", configuration]


def _lighttpd(folder, site, port):
    return ["lighttpd", "-D", "-f", _write(folder, "lighttpd.conf", LIGHTTPD, site=site, port=port)]


def _h2o(folder, site, port):
    user = "user: root" if os.geteuid() == 0 else ""
    return ["h2o", "-c", _write(folder, "h2o.conf", H2O, site=site, port=port, user=user)]


# Each gives its command line, for a folder of its own files, the site, and the port.
ALL = {"nginx": nginx, "lighttpd": _lighttpd, "h2o": _h2o}
