../cilium_py/objects/bpf_lxc.o: bpf_lxc.c lib/config.h lib/types.h \
  lib/arp.h lib/eth.h lib/ctx.h lib/drop_reasons.h lib/drop.h \
  lib/events.h lib/ratelimit.h lib/metrics.h lib/from_container.h \
  lib/auth.h lib/ipcache.h lib/node.h lib/conntrack.h \
  lib/conntrack_map.h lib/dbg.h lib/fib.h lib/l3.h lib/icmp6.h \
  lib/endpoint.h lib/ipv6.h lib/fragments.h lib/tailcall.h lib/ipv4.h \
  lib/l4.h lib/icmp.h lib/local_delivery.h lib/identity.h lib/policy.h \
  lib/policy_log.h lib/proxy.h lib/service.h lib/lb.h lib/xlate.h \
  lib/trace.h lib/no_service.h lib/to_container.h
lib/config.h:
lib/types.h:
lib/arp.h:
lib/eth.h:
lib/ctx.h:
lib/drop_reasons.h:
lib/drop.h:
lib/events.h:
lib/ratelimit.h:
lib/metrics.h:
lib/from_container.h:
lib/auth.h:
lib/ipcache.h:
lib/node.h:
lib/conntrack.h:
lib/conntrack_map.h:
lib/dbg.h:
lib/fib.h:
lib/l3.h:
lib/icmp6.h:
lib/endpoint.h:
lib/ipv6.h:
lib/fragments.h:
lib/tailcall.h:
lib/ipv4.h:
lib/l4.h:
lib/icmp.h:
lib/local_delivery.h:
lib/identity.h:
lib/policy.h:
lib/policy_log.h:
lib/proxy.h:
lib/service.h:
lib/lb.h:
lib/xlate.h:
lib/trace.h:
lib/no_service.h:
lib/to_container.h:
