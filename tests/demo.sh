#!/usr/bin/env bash
# The main job on real traffic: a node with pods, packets between them through our programs, and what the kernel kept.
# A lab that is already up is used as it is and left alone.
set -euo pipefail

show() {
	printf '\n\033[1m# %s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi
	"$@"
}

if [ -z "$(cilium-py lab status -o jsonl 2>/dev/null)" ]; then
	show cilium-py lab up --ipv6
	trap 'show cilium-py lab down' EXIT
fi

show cilium-py endpoint list
show cilium-py lab exec pod1 -- ping -c3 -i0.2 pod2
show cilium-py lab exec pod1 -- ping -6 -c2 -i0.2 pod2

printf '\n# cilium-py bpf ct list global | grep ICMP | head -n4\n'
cilium-py bpf ct list global | grep ICMP | head -n4

show cilium-py endpoint regenerate 1

printf '\n# Policy: pod2 takes nothing in but what an entry of its policy map allows\n'
show cilium-py endpoint config 2 IngressEnforcement=enable
show cilium-py lab exec pod1 -- ping -c2 -i0.2 -W1 pod2 || true
show cilium-py bpf policy add 2 ingress 256
show cilium-py lab exec pod1 -- ping -c2 -i0.2 -W1 pod2
show cilium-py bpf policy get 2
show cilium-py bpf policy delete 2 ingress 256 --yes
show cilium-py endpoint config 2 IngressEnforcement=disable

show cilium-py bpf ipcache list
show cilium-py bpf metrics list
