../cilium_py/objects/bpf_alignchecker.o: bpf_alignchecker.c lib/config.h \
  lib/types.h lib/auth.h lib/ctx.h lib/drop_reasons.h lib/ipcache.h \
  lib/node.h lib/conntrack_map.h lib/dbg.h lib/events.h lib/ratelimit.h \
  lib/drop.h lib/metrics.h lib/edt.h lib/egress_gateway.h lib/encrypt.h \
  lib/endpoint.h lib/fragments.h lib/lb.h lib/lb_types.h lib/mcast.h \
  lib/nat.h lib/policy.h lib/icmp.h lib/policy_log.h lib/recorder.h \
  lib/srv6.h lib/trace.h lib/trace_sock.h lib/vtep.h
lib/config.h:
lib/types.h:
lib/auth.h:
lib/ctx.h:
lib/drop_reasons.h:
lib/ipcache.h:
lib/node.h:
lib/conntrack_map.h:
lib/dbg.h:
lib/events.h:
lib/ratelimit.h:
lib/drop.h:
lib/metrics.h:
lib/edt.h:
lib/egress_gateway.h:
lib/encrypt.h:
lib/endpoint.h:
lib/fragments.h:
lib/lb.h:
lib/lb_types.h:
lib/mcast.h:
lib/nat.h:
lib/policy.h:
lib/icmp.h:
lib/policy_log.h:
lib/recorder.h:
lib/srv6.h:
lib/trace.h:
lib/trace_sock.h:
lib/vtep.h:
