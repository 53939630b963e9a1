#!/bin/bash
# baseline.sh - measure SMTP servers ("peers") on this machine, loopback only.
#
#   baseline.sh sysinfo                 machine line + what one fsync costs here
#   baseline.sh PEER [PEER...]          run the cells below for each peer, interleaved
#   baseline.sh ab PEER_A PEER_B ...    the same + ratio lines against PEER_A
#   baseline.sh fsync PEER              sync calls per 100 messages (strace; slow)
#   baseline.sh idle PEER [N]           memory and CPU of N idle sessions (idleconns.py)
#   baseline.sh serve PEER [hold|relay] start a peer and keep it until Enter/SIGTERM
#
# Peers: sink (smtp-sink alone: the ceiling of the tools), postfix, exim, opensmtpd,
#        haraka, kumo, kumo-nosync, kumo-disk, custom (our server; see CUSTOM_* below);
#        variants: postfix-nolog, kumo-t2 (two SMTP threads).
#
# Cells: recv  = accept-to-queue, delivery held (only acceptance is on the clock)
#        relay = smtp-source -> peer -> smtp-sink; clock stops when the sink has them all
#
# Output, one figure per line:  <peer> <cell>.s<sessions>.l<bytes>.<mode>.<metric> <value> <unit>
#   mode: c1 = one message per connection, cN = many per connection (smtp-source -d)
#   rate       msg/s        wall clock, first connect to last 250 (recv) / last message at the sink (relay)
#   cpu        s/1000msg    user+sys of every process of the peer (cgroup), not jbd2/softirq elsewhere
#   cpu_src, cpu_sink       the same for smtp-source and smtp-sink
#   anon_max   MiB          highest anonymous memory of the peer (all processes, shared once), sampled 5/s
#   flush      /1000msg     cache-flush requests the block device completed (group commit shows as < fsyncs)
#   other      cpus         CPU used by anything else on the machine during the run (noise; > 0.2 = distrust)
#   idle       cpus         CPU left idle during the run
#   stored     msgs         messages found in the queue afterwards (recv; checks that nothing was lost)
#
# Environment (defaults): COUNT=3000 REPS=3 SIZES="2048" SESSIONS="20" MODES="c1 cN" CELLS="recv relay"
#   BASE=/var/tmp (must be the file system under test)  PORT=25251  SINKPORT=25261  LIMIT=120 (s per run)
#   BYTES=200000000 caps COUNT so that COUNT*size stays below it.
#   COUNT_<peer>=N overrides COUNT for one (slow or fast) peer, '-' in its name written '_'.
#   QUIET=30 wait up to that many seconds for the rest of the machine to be idle before each run;
#   MAXOTHER=0.30 RETRIES=3: a run during which others used more CPU than that is repeated (last one counts).
#   SOURCES=1 smtp-source processes that share the sessions and messages (each is single-threaded).
# custom peer: CUSTOM_START='exec command; gets $T (scratch dir) $PORT $SINKPORT $MODE (hold|relay)'
#   must stay in the foreground; CUSTOM_STORED='command printing the number of queued messages'
#   it is stopped with SIGTERM to the foreground pid; CUSTOM_NAME = label (default "custom").
# `compare` beside this script sources it for cgroups, peers, life cycle and noise control.
# Needs root, cgroup v1 (cpuacct+memory) or v2, Postfix's smtp-source/smtp-sink, python3, strace (fsync only).
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
: "${COUNT:=3000}" "${REPS:=3}" "${SIZES:=2048}" "${SESSIONS:=20}" "${MODES:=c1 cN}" "${CELLS:=recv relay}"
: "${SOURCES:=1}" "${BASE:=/var/tmp}" "${PORT:=25251}" "${SINKPORT:=25261}" "${LIMIT:=120}" "${BYTES:=200000000}"
: "${EXIM:=$( [ -x /usr/sbin/exim4 ] && echo /usr/sbin/exim4 || echo exim4 )}"
: "${SMTPD_PREFIX:=$( [ -x /usr/sbin/smtpd ] && echo / || echo / )}"
: "${HARAKA:=haraka}" "${KUMOD:=kumod}"
: "${CUSTOM_NAME:=custom}" "${QUIET:=30}" "${MAXOTHER:=0.30}" "${RETRIES:=3}"
HZ=$(getconf CLK_TCK)
ulimit -n "$(ulimit -Hn)" 2>/dev/null
say() { echo "$@" >&2; }
die() { say "baseline.sh: $*"; exit 1; }

# ---------------------------------------------------------------- cgroups
CGN=mta-baseline.$$
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then CGV=2; CGP="/sys/fs/cgroup"; CGM="/sys/fs/cgroup"; [ -w $CGP/cgroup.subtree_control ] && echo "+memory" > $CGP/cgroup.subtree_control 2>/dev/null
elif [ -d /sys/fs/cgroup/cpuacct ]; then CGV=1; CGP=/sys/fs/cgroup/cpuacct; CGM=/sys/fs/cgroup/memory
else CGV=0; fi
cg_make() { [ $CGV = 0 ] && die "no cgroup v1/v2"; mkdir -p $CGP/$CGN.$1 $CGM/$CGN.$1 || die "cgroup mkdir"; }
cg_join() { echo "$BASHPID" > $CGP/$CGN.$1/cgroup.procs; [ $CGV = 1 ] && echo "$BASHPID" > $CGM/$CGN.$1/cgroup.procs; true; }
cg_usec() { if [ $CGV = 2 ]; then awk '/^usage_usec/{print $2}' $CGP/$CGN.$1/cpu.stat; else echo $(( $(<$CGP/$CGN.$1/cpuacct.usage) / 1000 )); fi; }
cg_anon() { if [ $CGV = 2 ]; then awk '/^anon /{print $2}' $CGM/$CGN.$1/memory.stat 2>/dev/null || echo 0; else awk '/^total_rss /{print $2}' $CGM/$CGN.$1/memory.stat; fi; }
cg_pids() { cat $CGP/$CGN.$1/cgroup.procs 2>/dev/null; }
cg_drain() { # stop what is still in our own cgroup, by pid: every one of these was started by this script
  local i p; for i in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(cg_pids $1)" ] && break; sleep 0.3; done
  for p in $(cg_pids $1); do kill -TERM $p 2>/dev/null; done
  for i in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(cg_pids $1)" ] && break; sleep 0.2; done
  for p in $(cg_pids $1); do kill -KILL $p 2>/dev/null; done
  for i in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(cg_pids $1)" ] && break; sleep 0.2; done
  rmdir $CGP/$CGN.$1 2>/dev/null; [ $CGV = 1 ] && rmdir $CGM/$CGN.$1 2>/dev/null; true; }
busy_ticks() { awk '/^cpu /{print $2+$3+$4+$7+$8+$9; exit}' /proc/stat; }   # user nice sys irq softirq steal
idle_ticks() { awk '/^cpu /{print $5+$6; exit}' /proc/stat; }
DEV=$(stat -c '%Hd %Ld' "$BASE" 2>/dev/null)
flushes() { awk -v d="$DEV" 'BEGIN{split(d,a," ")} $1==a[1]&&$2==a[2]{print $19+0; f=1} END{if(!f)print 0}' /proc/diskstats; }
now_us() { local t=${EPOCHREALTIME/./}; echo "$t"; }
port_up() { (exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null; }
settle() { # let the deletes, discards and write-back of the previous run finish
  local i q=0; sync; for ((i=0;i<100&&q<5;i++)); do sleep 0.1; if awk -v d="$DEV" 'BEGIN{split(d,a," ")} $1==a[1]&&$2==a[2]{exit !($12==0)}' /proc/diskstats; then q=$((q+1)); else q=0; fi; done; }
wait_quiet() { # wait until the rest of the machine uses little CPU (0.5 s samples), at most QUIET seconds
  local i b0 b1 q=0; for ((i=0;i<QUIET*2;i++)); do b0=$(busy_ticks); sleep 0.5; b1=$(busy_ticks)
    if [ $((b1-b0)) -le $(( HZ/20 )) ]; then q=$((q+1)); [ $q -ge 2 ] && return 0; else q=0; fi; done; return 1; }
wait_port() { local i; for ((i=0;i<${2:-100};i++)); do port_up $1 && return 0; sleep 0.1; done; return 1; }

# ---------------------------------------------------------------- peers
# start_<peer>: runs inside the peer's cgroup, with $T and $MODE set; foreground peers exec.
start_sink() { exec smtp-sink -u nobody 127.0.0.1:$PORT 1024; }
stored_sink() { echo -1; }

start_postfix() {
  local rst=""; [ "$MODE" = hold ] && rst="smtpd_client_restrictions = check_client_access static:HOLD"
  local lg="maillog_file = $T/maillog"; [ "${POSTFIX_LOG:-1}" = 0 ] && lg=""
  mkdir -p $T/etc $T/spool $T/data; chown postfix $T/data
  cat > $T/etc/main.cf <<E
compatibility_level = 3.6
config_directory = $T/etc
queue_directory = $T/spool
data_directory = $T/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.invalid
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
disable_dns_lookups = yes
$rst
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
relayhost = [127.0.0.1]:$SINKPORT
maillog_file_prefixes = $BASE, /var, /tmp
$lg
default_process_limit = ${POSTFIX_PROCS:-250}
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
default_destination_concurrency_limit = 50
qmgr_message_active_limit = 40000
E
  cat > $T/etc/master.cf <<E
127.0.0.1:$PORT inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
E
  postfix -c $T/etc start >$T/out 2>&1
}
stop_postfix() { postfix -c $T/etc stop >>$T/out 2>&1; }
stored_postfix() { find $T/spool/hold $T/spool/incoming $T/spool/active $T/spool/deferred -type f | wc -l; }

start_postfix-nolog() { POSTFIX_LOG=0 start_postfix; }; stop_postfix-nolog() { stop_postfix; }; stored_postfix-nolog() { stored_postfix; }

start_exim() {
  local q=""; [ "$MODE" = hold ] && q="queue_only"
  mkdir -p $T/spool $T/log; chown -R Debian-exim: $T/spool $T/log
  cat > $T/exim.conf <<E
exim_path = $EXIM
primary_hostname = bench.invalid
spool_directory = $T/spool
log_file_path = $T/log/%slog
pid_file_path = $T/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = $PORT
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = ok
acl_smtp_data = ok
$q
smtp_accept_max = 0
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
smtp_connect_backlog = 1024
split_spool_directory
tls_advertise_hosts =
keep_environment =
never_users =
begin acl
ok:
  accept
begin routers
out:
  driver = manualroute
  route_list = * 127.0.0.1
  transport = remote
  self = send
begin transports
remote:
  driver = smtp
  port = $SINKPORT
  allow_localhost
begin retry
* * F,2h,5m
E
  mkdir -p /etc/exim4; grep -qxF $T/exim.conf /etc/exim4/trusted_configs 2>/dev/null || echo $T/exim.conf >> /etc/exim4/trusted_configs
  exec $EXIM -C $T/exim.conf -bdf -q30m >$T/out 2>&1
}
cleanup_exim() { sed -i "\|^$T/exim.conf\$|d" /etc/exim4/trusted_configs; }
stored_exim() { find $T/spool/input -name '*-H' | wc -l; }

start_opensmtpd() {
  local act="action out relay host smtp://127.0.0.1:$SINKPORT"
  mkdir -p $T/spool $T/etc; chmod 711 $T/spool
  cat > $T/etc/smtpd.conf <<E
smtp limit max-mails 1000000
mta limit conn-delay-route 0
mta limit max-conn-per-host 50
mta limit max-conn-per-route 50
mta limit max-conn-per-relay 50
mta limit session-mail-max 100000
listen on 127.0.0.1 port $PORT hostname bench.invalid
$act
match from any for any action out
E
  chmod 600 $T/etc/smtpd.conf
  mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty
  printf 'lookup file\nnameserver 127.0.0.1\n' > $T/etc/resolv.conf; printf '127.0.0.1 localhost bench.invalid\n' > $T/etc/hosts
  exec unshare -m bash -c "mount --make-rprivate /; mount --bind $T/etc/resolv.conf /etc/resolv.conf; mount --bind $T/etc/hosts /etc/hosts; mount --bind $T/spool /var/spool/smtpd && PATH=$SMTPD_PREFIX/usr/sbin:\$PATH exec $SMTPD_PREFIX/usr/sbin/smtpd -d -f $T/etc/smtpd.conf ${OPENSMTPD_FLAGS:-} $( [ "$MODE" = hold ] && echo '-P mta' )" >$T/out 2>&1
}
stored_opensmtpd() { find $T/spool/queue -type f -name message | wc -l; }
cleanup_opensmtpd() { rm -f /var/run/smtpd.sock; rmdir /var/spool/smtpd 2>/dev/null; }

start_haraka() {
  mkdir -p $T/h/config $T/h/plugins $T/h/queue; echo bench.invalid > $T/h/config/me
  echo '{"name":"h"}' > $T/h/package.json
  printf 'listen=127.0.0.1:%s\n%s\n' $PORT "${HARAKA_NODES-nodes=2}" > $T/h/config/smtp.ini
  cp "$(dirname $HARAKA)/../config/connection.ini" $T/h/config/   # the package's own defaults
  printf 'bench\n' > $T/h/config/plugins
  printf 'level=%s\n' "${HARAKA_LOG:-notice}" > $T/h/config/log.ini; sed -i '1i [main]' $T/h/config/log.ini
  { [ "$MODE" = hold ] && echo disabled=true; echo enable_tls=false; echo local_mx_ok=true; echo concurrency_max=200; } > $T/h/config/outbound.ini
  cat > $T/h/plugins/bench.js <<E
'use strict'
exports.hook_lookup_rdns = (next) => next(OK, 'localhost')
exports.hook_mail = (next, connection) => { connection.relaying = true; next(OK) }
exports.hook_rcpt = (next) => next(OK)
exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: '127.0.0.1', port: $SINKPORT })
E
  cd $T/h; exec node $HARAKA -c $T/h >$T/out 2>&1
}
stored_haraka() { find $T/h/queue -maxdepth 1 -type f ! -name '.*' | wc -l; }

# kumod: kumo = RocksDB spool + force_sync per message (durable); kumo-nosync = RocksDB as it comes (no sync per
# message; the spool's flush=true does not change that for RocksDB); kumo-disk = LocalDisk spool with flush=true
start_kumo() { local KUMO_KIND=${KUMO_KIND:-RocksDB} KUMO_FLUSH=${KUMO_FLUSH:-false} KUMO_SYNC=${KUMO_SYNC:-true} hold=""
  [ "$MODE" = hold ] && hold="msg:set_scheduling { first_attempt = '2035-01-01T00:00:00+00:00' }"
  mkdir -p $T/data $T/meta $T/logs; chown nobody $T $T/data $T/meta $T/logs
  cat > $T/init.lua <<E
local kumo = require 'kumo'
kumo.on('init', function()
  kumo.configure_accounting_db_path('$T/accounting.db')
  kumo.set_diagnostic_log_filter('kumod=warn')
  ${KUMO_LUA_INIT:-}
  for _, name in ipairs { 'data', 'meta' } do
    kumo.define_spool { name = name, path = '$T/' .. name, kind = '$KUMO_KIND', flush = $KUMO_FLUSH }
  end
  kumo.configure_local_logs { log_dir = '$T/logs' }
  kumo.start_esmtp_listener { listen = '127.0.0.1:$PORT', hostname = 'bench.invalid', relay_hosts = { '127.0.0.1' }, banner = 'bench' }
  kumo.start_http_listener { listen = '127.0.0.1:$((PORT+1))', trusted_hosts = { '127.0.0.1' } }
end)
kumo.on('get_queue_config', function(domain)
  return kumo.make_queue_config { protocol = { smtp = { mx_list = { { name = 'sink.invalid', addr = '127.0.0.1' } } } } }
end)
kumo.on('get_egress_path_config', function(domain, src, site)
  return kumo.make_egress_path { smtp_port = $SINKPORT, enable_tls = 'Disabled', prohibited_hosts = {}, connection_limit = 50, max_ready = 80000, idle_timeout = '5s' }
end)
kumo.on('smtp_server_message_received', function(msg) msg:set_force_sync($KUMO_SYNC) $hold end)
E
  exec $KUMOD --user nobody --policy $T/init.lua >$T/out 2>&1
}
stored_kumo() { python3 -c "import urllib.request as u;print(sum(int(l.split()[1]) for l in u.urlopen('http://127.0.0.1:$((PORT+1))/metrics').read().decode().splitlines() if l.startswith('scheduled_count_total ')))" 2>/dev/null || echo -1; }
start_kumo-nosync() { KUMO_SYNC=false start_kumo; };  stored_kumo-nosync() { stored_kumo; }
start_kumo-disk() { KUMO_KIND=LocalDisk KUMO_FLUSH=true KUMO_SYNC=false start_kumo; }; stored_kumo-disk() { stored_kumo; }

start_kumo-t2() { KUMO_LUA_INIT='kumo.set_smtpsrv_threads(2)' start_kumo; }; stored_kumo-t2() { stored_kumo; }

start_custom() { export T PORT SINKPORT MODE; exec bash -c "$CUSTOM_START" >$T/out 2>&1; }
stored_custom() { ( export T PORT SINKPORT MODE; bash -c "${CUSTOM_STORED:-echo -1}" ); }

# ---------------------------------------------------------------- life cycle
T=; CUR=; SAMPLER=
peer_start() { # peer mode
  CUR=$1; MODE=$2; PPID_=; T=$(mktemp -d $BASE/mta-baseline.XXXXXX); chmod 755 $T
  port_up $PORT && die "port $PORT is in use"; port_up $SINKPORT && die "port $SINKPORT is in use"
  cg_make srv; cg_make src; cg_make snk
  ( cg_join srv; start_$CUR ) & PPID_=$!
  wait_port $PORT 150 || { say "$CUR did not come up:"; cat $T/out >&2; tail -5 $T/maillog >&2 2>/dev/null; peer_stop; return 1; }
}
peer_stop() {
  [ -n "$CUR" ] || return 0
  if declare -F stop_$CUR >/dev/null; then stop_$CUR; else kill -TERM $PPID_ 2>/dev/null; fi
  local i; for ((i=0;i<50;i++)); do [ -z "$(cg_pids srv)" ] && break; sleep 0.1; done
  cg_drain srv; cg_drain src; cg_drain snk; wait $PPID_ 2>/dev/null
  declare -F cleanup_$CUR >/dev/null && cleanup_$CUR
  [ -n "${KEEP:-}" ] && say "kept $T" || rm -rf "$T"; CUR=; T=
}
trap 'trap - EXIT; [ -n "$SAMPLER" ] && kill $SAMPLER 2>/dev/null; peer_stop' EXIT
trap 'exit 130' INT TERM HUP
source_run() { # sessions count bytes mode ; SOURCES processes share the work (one smtp-source is one thread)
  local d="" k=$SOURCES i rc=0 pids=(); [ $4 = cN ] && d=-d; [ $1 -lt $k ] && k=1
  for ((i=0;i<k;i++)); do
    ( cg_join src; exec timeout $LIMIT smtp-source -4 -C 20 $d -s $(( ($1+i)/k )) -m $(( ($2+i)/k )) -l $3 -f a@src.invalid -t b@dst.invalid 127.0.0.1:$PORT ) >/dev/null 2>>$T/src.err &
    pids+=($!); done
  for i in "${pids[@]}"; do wait $i || rc=1; done; return $rc; }
sink_bg() { ( cg_join snk; exec timeout $LIMIT smtp-sink -u nobody -m 1024 -M $1 127.0.0.1:$SINKPORT 1024 >/dev/null 2>&1 ) & SINKPID=$!; wait_port $SINKPORT 50; }
label() { case $1 in custom) echo $CUSTOM_NAME;; *) echo $1;; esac; }

run_cell() { # as run_once, repeated while the machine was noisy; only the last attempt is printed
  local k o out rc; for ((k=0;k<=RETRIES;k++)); do
    out=$(mktemp); run_once "$@" > $out; rc=$?
    o=$(awk '$2~/\.other$/{print $3}' $out); if awk -v o="${o:-0}" -v m=$MAXOTHER 'BEGIN{exit !(o<=m)}'; then break; fi
    [ $k -lt $RETRIES ] && { say "noisy ($o cpus): $* - again"; rm -f $out; }; done
  cat $out; rm -f $out; return $rc; }
run_once() { # peer cell sessions bytes mode -> lines on stdout
  local peer=$1 cell=$2 s=$3 l=$4 m=$5 n warm=100 L v=COUNT_${1//-/_}; L=$(label $peer); n=${!v:-$COUNT}
  [ $((n*l)) -gt $BYTES ] && n=$((BYTES/l)); [ $n -lt $((s*2)) ] && n=$((s*2))
  [ $peer = sink ] && [ $cell = relay ] && return 0
  peer_start $peer $([ $cell = recv ] && echo hold || echo relay) || { echo "$L $cell.s$s.l$l.$m.failed 1 bool"; return 1; }
  # one sink for warm-up and measurement: a sink that goes away makes some peers back off for seconds
  [ $cell = relay ] && sink_bg $((warm+n))
  source_run 5 $warm 2048 cN; [ $cell = relay ] && sleep 1.5
  settle; [ $QUIET -gt 0 ] && wait_quiet
  ( m=0; while :; do a=$(cg_anon srv); [ "${a:-0}" -gt $m ] && { m=$a; echo $m > $T/anon; }; sleep 0.2; done ) & SAMPLER=$!
  local c0 s0 k0 b0 i0 f0 t0 t1 ok=1
  f0=$(flushes); c0=$(cg_usec srv); s0=$(cg_usec src); k0=$(cg_usec snk); b0=$(busy_ticks); i0=$(idle_ticks); t0=$(now_us)
  source_run $s $n $l $m || ok=0
  [ $cell = relay ] && { wait $SINKPID || ok=0; }
  t1=$(now_us); local c1 s1 k1 b1 i1 f1; c1=$(cg_usec srv); s1=$(cg_usec src); k1=$(cg_usec snk); b1=$(busy_ticks); i1=$(idle_ticks); f1=$(flushes)
  local am=$(cg_anon srv); local a2=$(cat $T/anon 2>/dev/null || echo 0); [ "$a2" -gt "${am:-0}" ] && am=$a2
  kill $SAMPLER 2>/dev/null; wait $SAMPLER 2>/dev/null; SAMPLER=
  if [ $ok = 0 ]; then say "$peer $cell: $(tail -1 $T/src.err)"; echo "$L $cell.s$s.l$l.$m.failed $(stored_$peer 2>/dev/null || echo -1) of_$((n+warm))_in_$(( (t1-t0)/1000000 ))s"; peer_stop; return 1; fi
  awk -v p="$L" -v k="$cell.s$s.l$l.$m" -v n=$n -v us=$((t1-t0)) -v c=$((c1-c0)) -v sc=$((s1-s0)) -v kc=$((k1-k0)) -v b=$((b1-b0)) -v i=$((i1-i0)) -v f=$((f1-f0)) -v am=$am -v hz=$HZ -v cell=$cell 'BEGIN{
    printf "%s %s.rate %.0f msg/s\n",p,k,n*1e6/us; printf "%s %s.cpu %.3f s/1000msg\n",p,k,c/1e3/n
    printf "%s %s.cpu_src %.3f s/1000msg\n",p,k,sc/1e3/n; if(cell=="relay")printf "%s %s.cpu_sink %.3f s/1000msg\n",p,k,kc/1e3/n
    printf "%s %s.anon_max %.1f MiB\n",p,k,am/1048576; printf "%s %s.flush %.0f /1000msg\n",p,k,f*1000/n
    o=b/hz-(c+sc+kc)/1e6; if(o<0)o=0; printf "%s %s.other %.2f cpus\n",p,k,o*1e6/us; printf "%s %s.idle %.2f cpus\n",p,k,i/hz*1e6/us}'
  [ $cell = recv ] && echo "$L $cell.s$s.l$l.$m.stored $(stored_$peer) of_$((n+warm))"
  peer_stop
}
run_all() { # peers... ; interleaved: within one repetition and one cell the peers follow each other
  local r c s l m p
  for ((r=1;r<=REPS;r++)); do for c in $CELLS; do for l in $SIZES; do for s in $SESSIONS; do for m in $MODES; do
    for p in "$@"; do run_cell $p $c $s $l $m; done; done; done; done; done; done; }
summarise() { # reference peer; reads raw lines, prints the median of each figure, then ratios of rate and cpu
  python3 - "$1" <(cat) <<'P'
import sys, statistics as st
ref, vals, units, order = sys.argv[1], {}, {}, []
for line in open(sys.argv[2]):
    f = line.split()
    if len(f) < 4: continue
    try: v = float(f[2])
    except ValueError: continue
    k = (f[0], f[1]); units[k] = f[3]
    if k not in vals: order.append(k); vals[k] = []
    vals[k].append(v)
for k in order: print("%s %s %g %s" % (k[0], k[1], st.median(vals[k]), units[k]))
if ref:
    for p, m in order:
        if p != ref and m.rsplit(".", 1)[1] in ("rate", "cpu") and (ref, m) in vals:
            a, b = st.median(vals[(p, m)]), st.median(vals[(ref, m)])
            # ratio of every interleaved pair, then its median: less sensitive to drift than a ratio of medians
            pairs = [x / y for x, y in zip(vals[(p, m)], vals[(ref, m)]) if y]
            if pairs: print("%s %s_vs_%s %.2f ratio" % (p, m, ref, st.median(pairs)))
P
}
sysinfo() {
  echo "sysinfo cpus $(nproc) count"; echo "sysinfo kernel $(uname -r) version"
  echo "sysinfo mem $(awk '/MemTotal/{printf "%.0f",$2/1048576}' /proc/meminfo) GiB"
  echo "sysinfo cpu_model $(awk -F': ' '/model name/{gsub(/ /,"_",$2);print $2;exit}' /proc/cpuinfo) name"
  echo "sysinfo fs $(stat -f -c %T $BASE) type"; echo "sysinfo load1 $(cut -d' ' -f1 /proc/loadavg) procs"
  python3 $HERE/fsyncprobe.py $BASE 300
}

# ---------------------------------------------------------------- commands
[ "${BASH_SOURCE[0]}" = "$0" ] || return 0   # sourced by `compare`: only the functions
[ $# -ge 1 ] || { sed -n '2,40p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
cmd=$1
case $cmd in
  sysinfo) sysinfo;;
  ab) shift; raw=$(mktemp); run_all "$@" > >(tee "$raw" >&2); sleep 0.2; summarise "$(label $1)" < "$raw"; rm -f "$raw";;
  fsync) peer=$2; N=${3:-100}; MODE=hold; for l in $SIZES; do
      peer_start $peer hold || exit 1; source_run 5 20 2048 cN; sleep 0.5
      args=(); for p in $(cg_pids srv); do args+=(-p $p); done
      strace -f -qq -c -U name,calls -e trace=fsync,fdatasync,sync_file_range,msync,syncfs,sync,sendfile,rename,renameat,renameat2,link,linkat,unlink,unlinkat,openat,pwritev2,io_uring_enter -o $T/st "${args[@]}" & SP=$!; sleep 2
      source_run 5 $N $l c1; sleep 1; kill -INT $SP; wait $SP 2>/dev/null
      awk -v p="$(label $peer)" -v n=$N 'NF==2&&$1!~/^-/&&$1!="syscall"&&$1!="name"&&$1!="total"{printf "%s syscalls.%s %.2f per_msg\n",p,$1,$2/n}' $T/st
      peer_stop; done;;
  idle) peer=$2; N=${3:-1000}; export POSTFIX_PROCS=${POSTFIX_PROCS:-$((N+20))}
      peer_start $peer hold || exit 1; source_run 5 50 2048 cN; sleep 1; a0=$(cg_anon srv); p0=$(cg_pids srv | wc -l)
      ( cg_join src; exec python3 $HERE/idleconns.py 127.0.0.1 $PORT $N ${HOLD:-8} ) > $T/idle.out 2>&1 & IP=$!
      for ((i=0;i<1200;i++)); do grep -q ^READY $T/idle.out && break; kill -0 $IP 2>/dev/null || break; sleep 0.1; done; sleep 1
      a1=$(cg_anon srv); p1=$(cg_pids srv | wc -l); u0=$(cg_usec srv); sleep 3; u1=$(cg_usec srv)
      pss=$(for p in $(cg_pids srv); do awk '/^Pss:/{print $2}' /proc/$p/smaps_rollup 2>/dev/null; done | awk '{s+=$1}END{print s+0}')
      got=$(awk '/^READY/{print $2}' $T/idle.out); L=$(label $peer)
      echo "$L idle.sessions ${got:-0} of_$N"; echo "$L idle.anon_base $((a0/1024)) KiB"; echo "$L idle.anon_with $((a1/1024)) KiB"
      echo "$L idle.pss_with $pss KiB"; echo "$L idle.procs $p0->$p1 count"
      [ "${got:-0}" -gt 0 ] && echo "$L idle.anon_per_session $(awk "BEGIN{printf \"%.1f\",($a1-$a0)/1024/$got}") KiB"
      echo "$L idle.cpu $(awk "BEGIN{printf \"%.4f\",($u1-$u0)/3e6}") cpus"
      tail -1 $T/idle.out >&2; kill $IP 2>/dev/null; wait $IP 2>/dev/null; peer_stop;;
  serve) peer_start $2 ${3:-hold} || exit 1; say "$2 on 127.0.0.1:$PORT, scratch $T, pid $PPID_; Enter stops it"; read -r _; peer_stop;;
  *) run_all "$@";;
esac
