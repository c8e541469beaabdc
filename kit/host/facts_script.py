"""The questions that a host is asked: parts of a POSIX shell script; sh, docker and coreutils suffice.

Each line of its answer that counts is `kit:KEY VALUE`; whatever a login shell prints besides is passed over.
A script is PRELUDE, the parts that matter, and END.
"""

from __future__ import annotations

from kit.host.docker_words import FIND_ENGINE

PRELUDE = (
    r"""
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root=$1
say() { key=$1; shift; printf 'kit:%s %s\n' "$key" "$(printf '%s' "$*" | tr '\n' ' ')"; }
"""
    + FIND_ENGINE
    + r"""
engine() { limited $sudo docker "$@"; }
find_engine
"""
)
"""Words for the parts, and how the engine is reached."""

MACHINE = r"""
say hostname "$(uname -n)"
say architecture "$(uname -m)"
say user "$(id -un 2>/dev/null)"
say uid "$(id -u)"
say gid "$(id -g)"
socket=/var/run/docker.sock
[ -S "$socket" ] && say docker_gid "$(stat -L -c %g "$socket")"
say cores "$(getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c '^processor' /proc/cpuinfo)"
grep -qiE '^(flags|features).* aes( |$)' /proc/cpuinfo && say aes 1
while read -r key value unit; do [ "$key" = MemTotal: ] && say memory_kib "$value"; done </proc/meminfo
folder=$root
while [ ! -d "$folder" ] && [ "$folder" != / ]; do folder=${folder%/*}; folder=${folder:-/}; done
if [ -w "$folder" ] && [ -x "$folder" ]; then say root_writable 1; else say root_writable 0; fi
say root_df "$(df -Pk "$folder" 2>/dev/null | tail -n 1)"
say root_device "$(stat -L -c %d "$folder")"
say shm_df "$(df -Pk /dev/shm 2>/dev/null | tail -n 1)"
if [ -n "$version" ]; then
  say engine_version "$version"
  say sudo "$sudo"
  data= store= runtimes=
  format='{{println .DockerRootDir}}{{println (json .DriverStatus)}}{{json .Runtimes}}'
  { read -r data; read -r store; read -r runtimes; } <<KIT
$(engine info --format "$format" 2>/dev/null | head -c 1000000)
KIT
  say engine_df "$(df -Pk "$data" 2>/dev/null | tail -n 1)"
  say engine_device "$(stat -L -c %d "$data" 2>/dev/null)"
  say store "$store"
  say runtimes "$runtimes"
elif have docker; then
  say engine_error "$engine_error"
  say sudo_error "$sudo_error"
else
  say engine_error 'docker: command not found'
fi
"""
"""What it is, how much room it has, and its engine."""

JOBS = r"""
if [ -n "$version" ]; then
  engine image ls --no-trunc --filter 'reference=kit.invalid/*' \
    --format 'kit:image {{.Repository}}:{{.Tag}} {{.ID}}' 2>/dev/null
  images=$(engine image ls --quiet --filter 'reference=kit.invalid/*' 2>/dev/null | sort -u)
  format='{{range $t := .RepoTags}}{{range $.Config.Env}}{{println "kit:image_env" $t .}}{{end}}{{end}}'
  [ -n "$images" ] && engine image inspect --format "$format" $images 2>/dev/null |
    grep -E '^kit:image_env [^ ]+ NVIDIA_(REQUIRE_CUDA|DISABLE_REQUIRE)='
  format='kit:held {{.Names}} {{.Label "kit.job"}} gpus={{.Label "kit.gpus"}} port={{.Label "kit.port"}}'
  engine ps --filter label=kit.run --format "$format" 2>/dev/null
fi
have docker && say compose_v2 "$(engine compose version --short 2>/dev/null)"
have docker-compose && say compose_v1 "$(limited $sudo docker-compose version --short 2>/dev/null)"
if have nvidia-smi; then
  limited nvidia-smi --query-gpu=index,uuid,name,memory.total,driver_version --format=csv,noheader,nounits \
    2>/dev/null | while read -r line; do say gpu "$line"; done
fi
own=$(uname -n)
if have getent; then say own_address "$(getent ahostsv4 "$own" 2>/dev/null | head -n 1)"
else say own_address "$(grep -w -- "$own" /etc/hosts 2>/dev/null | head -n 1)"; fi
have ip && ip -4 -o addr show 2>/dev/null | while read -r _ name _ address _; do
  say interface "$name ${address%%/*}"
done
for table in /proc/net/tcp /proc/net/tcp6; do
  [ -r "$table" ] && while read -r _ local _ state _; do
    [ "$state" = 0A ] && say listening "${local##*:}"
  done <"$table"
done
"""
"""What only launching asks for: compose, GPUs, who holds them, addresses, ports; some take a second."""

END = r"""
say clock "$(date +%s.%N)"
say end 1
"""
