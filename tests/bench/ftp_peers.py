"""The FTP servers that procpool-ftpd is measured beside, unpacked by scripts/install-deps: no log, no limits, anonymous
clients who may upload. Both want a user "ftp" in /etc/passwd: they see one of their own there, in a mount namespace."""

import shlex
import sys
from pathlib import Path

UNPACKED = Path("/usr/local/lib/ftp-peers")

VSFTPD = """
listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=YES
local_enable=NO
anon_root={site}
ftp_username=ftp
nopriv_user=nobody
secure_chroot_dir={folder}/empty
write_enable=YES
anon_upload_enable=YES
anon_other_write_enable=YES
anon_umask=022
xferlog_enable=NO
max_clients=0
max_per_ip=0
tcp_wrappers=NO
"""


def with_user(folder, site, command):
    passwd = folder / "passwd"
    if not passwd.exists():
        theirs = f"ftp:x:65534:65534:ftp:{site}:/usr/sbin/nologin\n"
        passwd.write_text(Path("/etc/passwd").read_text() + theirs)
    words = shlex.join(map(str, command))
    return ["unshare", "--mount", "sh", "-c", f"mount --bind {passwd} /etc/passwd && exec {words}"]


def vsftpd(folder, site, port):
    (folder / "empty").mkdir(exist_ok=True)
    config = folder / "vsftpd.conf"
    config.write_text(VSFTPD.format(folder=folder, site=site, port=port).lstrip())
    return with_user(folder, site, [UNPACKED / "vsftpd/usr/sbin/vsftpd", config])


def pure_ftpd(folder, site, port):
    program = UNPACKED / "pure-ftpd/usr/sbin/pure-ftpd"
    limits = ["--maxclientsnumber", 2000, "--maxclientsperip", 2000]
    plain = ["--anonymousonly", "--dontresolve", "--syslogfacility", "none"]
    return with_user(folder, site, [program, "--bind", f"127.0.0.1,{port}", *plain, *limits])


ALL = {"vsftpd": vsftpd, "pure-ftpd": pure_ftpd}


def require():
    if missing := [name for name in ALL if not (UNPACKED / name).is_dir()]:
        sys.exit(f"bench: {', '.join(missing)}: run scripts/install-deps bench")
