"""The servers, each told to do what procpool-httpd does by itself: the same types, gzip, relative redirections."""

import os

NGINX = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ text/html html; text/plain txt; text/css css; application/json json; image/png png; }}
  default_type application/octet-stream;
  charset utf-8;
  charset_types text/plain text/css;
  gzip on;
  gzip_min_length 256;
  gzip_types text/plain text/css application/json;
  gzip_vary on;
  gzip_http_version 1.0;
  gzip_proxied any;
  absolute_redirect off;
  merge_slashes off;
  server {{
    listen 127.0.0.1:{port};
    root {site};
    index index.html;
  }}
}}
"""

APACHE = """
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
Mutex file:{folder} default
ErrorLog {folder}/apache.log
ServerName localhost
Listen 127.0.0.1:{port}
{user}
{modules}
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
HttpProtocolOptions Strict
TraceEnable off
AllowEncodedSlashes On
DocumentRoot {site}
DirectoryIndex index.html
TypesConfig /dev/null
AddType "text/html; charset=utf-8" .html
AddType "text/plain; charset=utf-8" .txt
AddType "text/css; charset=utf-8" .css
AddType application/json .json
AddType image/png .png
<Directory {site}>
  Require all granted
  Options FollowSymLinks
  AllowOverride None
  AddOutputFilterByType DEFLATE text/html text/plain text/css application/json
</Directory>
<LocationMatch "\\.bin$|/noext$">
  ForceType application/octet-stream
</LocationMatch>
"""

MODULES = ["mpm_event", "authz_core", "mime", "autoindex", "dir", "filter", "deflate"]
FOLDER_OF_MODULES = "/usr/lib/apache2/modules"


def _write(path, text, **values):
    path.write_text(text.format(folder=path.parent, **values))
    return path


def _nginx(folder, site, port):
    user = "user nobody nogroup;" if os.geteuid() == 0 else ""
    path = _write(folder / "nginx.conf", NGINX, site=site, port=port, user=user)
    return ["nginx", "-e", folder / "nginx.log", "-p", folder, "-c", path]


def _apache(folder, site, port):
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    modules = "\n".join(f"LoadModule {name}_module {FOLDER_OF_MODULES}/mod_{name}.so" for name in MODULES)
    path = _write(folder / "apache.conf", APACHE, site=site, port=port, user=user, modules=modules)
    return ["apache2", "-D", "FOREGROUND", "-f", path]


def commands(program):
    """Each gives its command line, for a folder of its own files, the site, and the port."""

    def ours(folder, site, port):
        arguments = ["--workers", "1", "--root", site, "--error-log", folder / "procpool-httpd.log"]
        return [program, "--listen", f"127.0.0.1:{port}", *arguments]

    return {"procpool-httpd": ours, "nginx": _nginx, "apache": _apache}
