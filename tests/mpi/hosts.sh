#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Runs a program on hosts that are none: network namespaces with names and addresses of their own,
# joined by a bridge, where Open MPI has TCP only and a launch agent that enters them.
#
#   hosts.sh COUNT PROGRAM [ARGUMENT...]      a rank on each of COUNT hosts, the first one's first
#
# Exits with 77 where there may be no namespaces (it wants root), or no Open MPI: a skipped test.
set -euo pipefail

count=$1
shift
skip() { echo "hosts.sh: skipped, $1" >&2; exit 77; }
command -v ip >/dev/null || skip "there is no ip (iproute2)"
mpirun --version 2>/dev/null | grep -q "Open MPI" || skip "this is not Open MPI"
[ "$(id -u)" -eq 0 ] || skip "it wants root"

prefix=mph$$
directory=$(mktemp -d)
clean_up() {
  for ((i = 1; i <= count; ++i)); do ip netns del "$prefix-$i" 2>/dev/null || true; done
  ip netns del "$prefix-net" 2>/dev/null || true
  rm -rf "$directory"
}
trap clean_up EXIT
ip netns add "$prefix-net" 2>/dev/null || skip "network namespaces are not permitted"
inside() { ip netns exec "$prefix-net" "$@"; }
inside ip link add br0 type bridge 2>/dev/null || skip "there are no bridges"
inside ip link set br0 up

: >"$directory/hosts"
for ((i = 1; i <= count; ++i)); do
  ip netns add "$prefix-$i"
  ip link add eth0 netns "$prefix-$i" type veth peer name "port$i" netns "$prefix-net"
  inside ip link set "port$i" master br0 up
  ip -n "$prefix-$i" link set lo up
  ip -n "$prefix-$i" address add "10.99.0.$i/24" dev eth0
  ip -n "$prefix-$i" link set eth0 up
  echo "10.99.0.$i slots=1" >>"$directory/hosts"
done

# Called as ssh is: agent HOST COMMAND... It gives the host a name of its own, too.
cat >"$directory/agent" <<AGENT
#!/bin/sh
host=\${1##*.}
shift
exec ip netns exec "$prefix-\$host" unshare --uts sh -c "hostname node\$host; \$*"
AGENT
chmod +x "$directory/agent"

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
ip netns exec "$prefix-1" unshare --uts sh -c 'hostname node1; exec "$@"' sh \
  mpirun --hostfile "$directory/hosts" -n "$count" --map-by node --bind-to none \
  --mca plm_rsh_agent "$directory/agent" --mca btl tcp,self --mca pml ob1 \
  --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 \
  --mca mpi_yield_when_idle 1 "$@"
