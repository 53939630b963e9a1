#!/usr/bin/env bash
# Starts the servers that scripts can ask, runs a script against each, and compares what comes out. As root, with the packages
# redis-server slapd postgresql-15 mariadb-server rabbitmq-server of Debian 12. Usage: run.sh HSH [DIRECTORY]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hsh=$(realpath "$1")
dir=${2:-$(mktemp -d)}
chmod 755 "$dir"
cd "$dir"
started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
}
trap stop EXIT

openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
chmod 644 key.pem

mkdir -p redis ldap/db pg my rabbit/m rabbit/l
redis-server --port 16379 --requirepass secret --save "" --dir "$dir/redis" >redis/log & started+=($!)
for i in 1 2 3; do
    mkdir -p "redis/$i"
    redis-server --port 1700$i --cluster-enabled yes --save "" --dir "$dir/redis/$i" >"redis/$i/log" & started+=($!)
done

chown -R postgres pg
install -o postgres -m 600 key.pem cert.pem pg
su postgres -s /bin/sh -c "cd $dir/pg; echo secret >pw; /usr/lib/postgresql/15/bin/initdb -D data -A scram-sha-256 --pwfile=pw >log"
su postgres -s /bin/sh -c "exec /usr/lib/postgresql/15/bin/postgres -D $dir/pg/data -p 15432 -k $dir/pg -c listen_addresses=127.0.0.1 \
    -c ssl=on -c ssl_cert_file=$dir/pg/cert.pem -c ssl_key_file=$dir/pg/key.pem" >>pg/log 2>&1 & started+=($!)

chown -R mysql my
mariadb-install-db --user=mysql --datadir="$dir/my/data" --auth-root-authentication-method=normal >my/log
mariadbd --user=mysql --datadir="$dir/my/data" --socket="$dir/my/s" --port=13306 --bind-address=127.0.0.1 >>my/log 2>&1 & started+=($!)
printf '[client]\nhost=127.0.0.1\nport=13306\nuser=u\npassword=secret\ndatabase=m\n' >my.cnf
printf '[client]\nhost=127.0.0.1\nport=13306\nuser=u\npassword=no\n' >bad.cnf
printf '[client]\nsocket=%s\nuser=root\n' "$dir/my/s" >sock.cnf

sed "s#DIRECTORY#$dir#g" "$here/slapd.conf" >ldap/slapd.conf
slapadd -f ldap/slapd.conf -l "$here/people.ldif"
socket=${dir//\//%2f}%2fldap%2fs
slapd -d 0 -f ldap/slapd.conf -h "ldap://127.0.0.1:1389 ldaps://127.0.0.1:1636 ldapi://$socket" & started+=($!)

chown -R rabbitmq rabbit
su rabbitmq -s /bin/sh -c "cd $dir/rabbit; HOME=$dir/rabbit RABBITMQ_NODENAME=interop@localhost RABBITMQ_NODE_PORT=15673 \
    RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_MNESIA_BASE=$dir/rabbit/m RABBITMQ_LOG_BASE=$dir/rabbit/l RABBITMQ_DIST_PORT=25673 \
    exec /usr/lib/rabbitmq/bin/rabbitmq-server" >rabbit/log 2>&1 & started+=($!)

for port in 16379 17001 17002 17003 15432 13306 1389 15673; do
    for _ in $(seq 120); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.5; done
done
redis-cli --cluster create 127.0.0.1:17001 127.0.0.1:17002 127.0.0.1:17003 --cluster-yes >redis/cluster
for port in 17001 17002 17003; do
    for _ in $(seq 120); do redis-cli -p $port cluster info | grep -q cluster_state:ok && break; sleep 0.5; done
done
mariadb -S my/s -uroot -e "create database m; create user u@'127.0.0.1' identified by 'secret'; grant all on m.* to u@'127.0.0.1'"

sed "s#DIRECTORY#$dir#g" "$here/smtpd.yaml" >smtpd.yaml
status=0
for script in "$here"/*.hsl; do
    name=$(basename "$script" .hsl)
    sed "s#SOCKET#$socket#" "$script" >"$name.hsl"
    timeout 60 "$hsh" -c smtpd.yaml "$name.hsl" >"$name.out" 2>&1 || true
    if diff "$here/$name.expected" "$name.out"; then echo "$name: as expected"; else status=1; fi
done
exit $status
