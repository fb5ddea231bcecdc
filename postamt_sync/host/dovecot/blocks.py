"""The parts of `dovecot.conf`: blocks of settings, in the syntax of Dovecot 2.3 and 2.4.

Each is a `string.Template`; `configuration` in conf.py joins them and fills them in.
"""

from __future__ import annotations

from postamt_sync.host.dovecot.description import Version

OPENING = """\
# Dovecot $version for the mailboxes of postamt-sync, complete: no other file is read but those that
# are named here. Your own settings belong in $directory/local.conf, which comes last
# and wins; written again with: postamt-sync dovecot --write

"""

FIRST = {
    Version.V2_3: """\
protocols = $protocols
""",
    Version.V2_4: """\
# The language of this file, and of what Dovecot stores. Later versions go on reading it.
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0

protocols {
$protocols
}
""",
}

TLS = {
    Version.V2_3: """
# Passwords and mail travel encrypted or not at all.
ssl = required
ssl_cert = <$certificate
ssl_key = <$key
ssl_min_protocol = TLSv1.2

# Some older clients know only the mechanism LOGIN. Both are safe inside TLS.
auth_mechanisms = plain login
""",
    Version.V2_4: """
# Passwords and mail travel encrypted or not at all.
ssl = required
ssl_server_cert_file = $certificate
ssl_server_key_file = $key
ssl_min_protocol = TLSv1.2

# Some older clients know only the mechanism LOGIN. Both are safe inside TLS.
auth_mechanisms {
  plain = yes
  login = yes
}
""",
}

LOGINS = {
    Version.V2_3: """
# Who may log in. First the login becomes a mailbox's name (a person may type an address, its local
# part with any sign, its domain in any script); these two steps let nobody in. Then the password is
# compared with its hash, and with those of its other forms in Unicode, where it has any.
auth_username_chars =
passdb {
  driver = passwd-file
  args = username_format=%Lu $mailboxes
  default_fields = noauthenticate=y
  result_success = continue
  result_failure = continue
}
passdb {
  driver = passwd-file
  args = username_format=@%Ld $mailboxes
  result_success = continue
  result_failure = continue
}
passdb {
  driver = passwd-file
  args = scheme=BLF-CRYPT username_format=%Lu $passwords
}
passdb {
  driver = passwd-file
  args = scheme=BLF-CRYPT username_format=%Lu/NFC $passwords
}
passdb {
  driver = passwd-file
  args = scheme=BLF-CRYPT username_format=%Lu/NFD $passwords
}
""",
    Version.V2_4: """
# Who may log in. First the login becomes a mailbox's name (a person may type an address, its local
# part with any sign, its domain in any script); these two steps let nobody in. Then the password is
# compared with its hash, and with those of its other forms in Unicode, where it has any.
auth_username_chars =
passdb mailboxes {
  driver = passwd-file
  passwd_file_path = $mailboxes
  auth_username_format = %{user | lower}
  fields {
    noauthenticate = yes
  }
  result_success = continue
  result_failure = continue
}
passdb domains {
  driver = passwd-file
  passwd_file_path = $mailboxes
  auth_username_format = @%{user | domain | lower}
  result_success = continue
  result_failure = continue
}
passdb passwords {
  driver = passwd-file
  passwd_file_path = $passwords
  auth_username_format = %{user | lower}
  passdb_default_password_scheme = BLF-CRYPT
}
passdb composed {
  driver = passwd-file
  passwd_file_path = $passwords
  auth_username_format = %{user | lower}/NFC
  passdb_default_password_scheme = BLF-CRYPT
}
passdb decomposed {
  driver = passwd-file
  passwd_file_path = $passwords
  auth_username_format = %{user | lower}/NFD
  passdb_default_password_scheme = BLF-CRYPT
}
""",
}

SENDERS = {
    Version.V2_3: """
# SES users of single mailboxes.
userdb {
  driver = passwd-file
  args = username_format=%Lu $senders
  result_success = continue
  result_failure = continue
  result_internalfail = return-fail
}
""",
    Version.V2_4: """
# SES users of single mailboxes.
userdb senders {
  driver = passwd-file
  passwd_file_path = $senders
  auth_username_format = %{user | lower}
  result_success = continue
  result_failure = continue
  result_internalfail = return-fail
}
""",
}

PLACES = {
    Version.V2_3: """
# Where each mailbox lies.
userdb {
  driver = passwd-file
  args = username_format=%Lu $mailboxes
}
""",
    Version.V2_4: """
# Where each mailbox lies.
userdb mailboxes {
  driver = passwd-file
  passwd_file_path = $mailboxes
  auth_username_format = %{user | lower}
}
""",
}

MAIL = {
    Version.V2_3: """
# The user that postamt-sync delivers as: files have one owner, whoever wrote them.
mail_uid = $user
mail_gid = $group
first_valid_uid = 1
""",
    Version.V2_4: """
# The user that postamt-sync delivers as: files have one owner, whoever wrote them.
mail_uid = $user
mail_gid = $group
first_valid_uid = 1

# Where a mailbox lies is said for each one in $mailboxes
mail_driver = maildir
""",
}

IMAP = """
# Some clients open a connection for each folder, and a household shares one address.
mail_max_userip_connections = 50

service imap-login {
  inet_listener imap {
    # Off: the port that starts without TLS.
    port = 0
  }
  inet_listener imaps {
    port = 993
    ssl = yes
  }
}
"""

NAMESPACE = """
namespace inbox {
  inbox = yes
  separator = /
$folders}
"""

SUBMISSION = """
# Sending: clients log in here as for reading, and SES takes the mail from us. Dovecot compares
# neither MAIL FROM nor From with who logged in: what an SES user may send from is for its IAM
# policy to say, and all mailboxes share the household's user unless they have one of their own.
submission_relay_host = $relay
submission_relay_port = $relay_port
submission_relay_ssl = starttls
submission_relay_ssl_verify = yes
submission_max_mail_size = $largest
ssl_client_ca_dir = /etc/ssl/certs
service submission-login {
  inet_listener submission {
    port = 587
  }
  inet_listener submissions {
    port = 465
    ssl = yes
  }
}

# The household's user at SES, for root's eyes only: postamt-sync dovecot relay
!include_try $relay_conf
"""

LMTP = {
    Version.V2_3: """
# Mail of mailboxes with delivery = "lmtp" comes in here and goes through Sieve. postamt-sync names
# the folder of spam as the address's detail; a person's own script in ~/.dovecot.sieve decides.
lmtp_save_to_detail_mailbox = yes
lda_mailbox_autocreate = yes
protocol lmtp {
  mail_plugins = sieve
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
}
$sendmail
service lmtp {
$lmtp_listener}
""",
    Version.V2_4: """
# Mail of mailboxes with delivery = "lmtp" comes in here and goes through Sieve. postamt-sync names
# the folder of spam as the address's detail; a person's own script in ~/.dovecot.sieve decides.
lmtp_save_to_detail_mailbox = yes
lda_mailbox_autocreate = yes
protocol lmtp {
  mail_plugins {
    sieve = yes
  }
}
sieve_script personal {
  driver = file
  path = ~/sieve
  active_path = ~/.dovecot.sieve
}
$sendmail
service lmtp {
$lmtp_listener}
""",
}

_SENDMAIL = """
# A vacation note goes out through SES, as the mailbox's user there, with the address that the mail
# came to as MAIL FROM: SES refuses a mail without a sender (501). SES also sends only from your own
# addresses (554), so what a script redirects of other people's mail would never leave, and Dovecot
# would try again for ever in place of delivering it: no script may redirect, and such mail is kept.
# Where something else than SES sends for you, set these three otherwise in local.conf.
sendmail_path = $command
"""

SENDMAIL = {
    Version.V2_3: _SENDMAIL
    + """\
plugin {
  sieve_vacation_send_from_recipient = yes
  sieve_max_redirects = 0
}
""",
    Version.V2_4: _SENDMAIL
    + """\
sieve_vacation_send_from_recipient = yes
sieve_max_redirects = 0
""",
}

NO_SENDMAIL = """
# SES takes nothing from here, so what a script sends (vacation, redirect) never leaves.
"""

CLOSING = """
!include_try $directory/local.conf
"""
