BEGIN TRANSACTION;
CREATE TABLE bans (
    jail TEXT, subject TEXT, since REAL NOT NULL, until REAL, failures INTEGER NOT NULL,
    user TEXT, reason TEXT NOT NULL, PRIMARY KEY (jail, subject)) WITHOUT ROWID;
INSERT INTO "bans" VALUES('sshd','10.0.0.1/32',1777599990.0,1777600100.0,3,'info','sshd/failed');
INSERT INTO "bans" VALUES('sshd','10.0.0.2/32',1777599990.0,NULL,3,'info','sshd/failed');
CREATE TABLE history (
    id INTEGER PRIMARY KEY, jail TEXT, subject TEXT, since REAL NOT NULL, until REAL,
    failures INTEGER NOT NULL, reason TEXT NOT NULL, ended REAL, how TEXT);
INSERT INTO "history" VALUES(1,'sshd','10.0.0.1/32',1777599990.0,1777600100.0,3,'sshd/failed',NULL,NULL);
INSERT INTO "history" VALUES(2,'sshd','10.0.0.2/32',1777599990.0,NULL,3,'sshd/failed',NULL,NULL);
INSERT INTO "history" VALUES(3,'dovecot','10.0.0.3/32',1777599990.0,1777600100.0,3,'sshd/failed',1777600000.0,'by hand');
CREATE TABLE marks (
    source TEXT, name TEXT, mark TEXT NOT NULL, PRIMARY KEY (source, name)) WITHOUT ROWID;
INSERT INTO "marks" VALUES('mail of /var/log/maillog','8:1:b','{"key": "7:1:a", "path": "/var/log/maillog", "device": 1, "inode": 7, "head": [[], false], "offset": 300, "tail": "", "inside": 0, "written": 1, "at_end": true}');
INSERT INTO "marks" VALUES('postfix','journal postfix.service','@5 s=1;i=9');
INSERT INTO "marks" VALUES('secure','7:1:a','{"key": "7:1:a", "path": "/var/log/secure", "device": 1, "inode": 7, "head": [[], false], "offset": 500, "tail": "", "inside": 0, "written": 1, "at_end": true}');
INSERT INTO "marks" VALUES('secure of /var/log/secure','7:1:a','{"key": "7:1:a", "path": "/var/log/secure", "device": 1, "inode": 7, "head": [[], false], "offset": 100, "tail": "", "inside": 0, "written": 1, "at_end": true}');
CREATE TABLE windows (
    jail TEXT, subject TEXT, newest REAL NOT NULL, times TEXT NOT NULL,
    PRIMARY KEY (jail, subject)) WITHOUT ROWID;
INSERT INTO "windows" VALUES('sshd','10.0.0.4/32',1777599999.0,'[1777599997.5,1777599999.0]');
CREATE INDEX history_subject ON history (subject, jail);
COMMIT;
PRAGMA user_version=1;
