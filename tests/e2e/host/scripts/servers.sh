# The second layer: the servers as the administrator of a small mail host configures them, and the
# accounts. /mnt: what comes in place of the distribution's own files.
cp -R /mnt/. /
groupadd --gid 5000 vmail
useradd --uid 5000 --gid vmail --create-home --home-dir /var/vmail vmail

# Submission with SASL, beside the mail exchanger at port 25.
postconf -M 'submission/inet=submission inet n - y - - smtpd'
postconf -P 'submission/inet/syslog_name=postfix/submission' \
    'submission/inet/smtpd_sasl_auth_enable=yes'
newaliases
# Dovecot puts its socket there, and may start first.
install -d -o postfix -g root -m 700 /var/spool/postfix/private

# The accounts: user00 to user49 at example.org. Postfix and Dovecot read them as "mail".
install -d -o mysql -g mysql /run/mysqld
{
    echo "FLUSH PRIVILEGES;"
    echo "CREATE DATABASE mailserver;"
    echo "CREATE TABLE mailserver.mailbox"
    echo "(username VARCHAR(255) PRIMARY KEY, password VARCHAR(255));"
    for number in $(seq -w 0 49); do
        echo "INSERT INTO mailserver.mailbox VALUES ('user$number@example.org', '{PLAIN}right');"
    done
    echo "CREATE USER 'mail'@'localhost' IDENTIFIED BY 'mail';"
    echo "GRANT SELECT ON mailserver.mailbox TO 'mail'@'localhost';"
    echo "CREATE USER 'mailbanned'@'localhost' IDENTIFIED BY 'mailbanned';"
    echo "GRANT SELECT (username) ON mailserver.mailbox TO 'mailbanned'@'localhost';"
} | mariadbd --user=mysql --bootstrap

# Those who may log in by ssh.
for user in root alice; do
    id -u "$user" >/dev/null 2>&1 || useradd --create-home "$user"
    echo "$user:right" | chpasswd
done

# Nothing happens by itself while tests run.
systemctl mask systemd-modules-load.service apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer fstrim.timer logrotate.timer systemd-pstore.service getty.target
