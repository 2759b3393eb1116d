/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Names every struct that the programs share with user space, so that this object's BTF holds them
 * all. It is never loaded: its types are compared with Cilium's and with those of the Python side.
 */
#include "lib/config.h"
#include "lib/auth.h"
#include "lib/conntrack_map.h"
#include "lib/dbg.h"
#include "lib/drop.h"
#include "lib/edt.h"
#include "lib/egress_gateway.h"
#include "lib/encrypt.h"
#include "lib/endpoint.h"
#include "lib/fragments.h"
#include "lib/ipcache.h"
#include "lib/lb.h"
#include "lib/lb_types.h"
#include "lib/mcast.h"
#include "lib/metrics.h"
#include "lib/nat.h"
#include "lib/node.h"
#include "lib/policy.h"
#include "lib/policy_log.h"
#include "lib/ratelimit.h"
#include "lib/recorder.h"
#include "lib/srv6.h"
#include "lib/trace.h"
#include "lib/trace_sock.h"
#include "lib/vtep.h"

/* The compiler describes the type of every global variable. */
#define JOIN(a, b)   a##b
#define NAME(number) JOIN(shared_, number)
#define SHARED(type) type NAME(__COUNTER__)

SHARED(struct auth_info);
SHARED(struct auth_key);
SHARED(struct capture4_wcard);
SHARED(struct capture6_wcard);
SHARED(struct capture_rule);
SHARED(struct ct_entry);
SHARED(struct debug_capture_msg);
SHARED(struct debug_msg);
SHARED(struct drop_notify);
SHARED(struct edt_id);
SHARED(struct edt_info);
SHARED(struct egress_gw_policy_entry);
SHARED(struct egress_gw_policy_entry6);
SHARED(struct egress_gw_policy_key);
SHARED(struct egress_gw_policy_key6);
SHARED(struct encrypt_config);
SHARED(struct endpoint_info);
SHARED(struct endpoint_key);
SHARED(struct ipcache_key);
SHARED(struct ipv4_ct_tuple);
SHARED(struct ipv4_frag_id);
SHARED(struct ipv4_frag_l4ports);
SHARED(struct ipv4_nat_entry);
SHARED(struct ipv4_revnat_entry);
SHARED(struct ipv4_revnat_tuple);
SHARED(struct ipv6_ct_tuple);
SHARED(struct ipv6_frag_id);
SHARED(struct ipv6_frag_l4ports);
SHARED(struct ipv6_nat_entry);
SHARED(struct ipv6_revnat_entry);
SHARED(struct ipv6_revnat_tuple);
SHARED(union lb4_affinity_client_id);
SHARED(struct lb4_affinity_key);
SHARED(struct lb4_backend);
SHARED(struct lb4_key);
SHARED(struct lb4_reverse_nat);
SHARED(struct lb4_service);
SHARED(struct lb4_src_range_key);
SHARED(union lb6_affinity_client_id);
SHARED(struct lb6_affinity_key);
SHARED(struct lb6_backend);
SHARED(struct lb6_key);
SHARED(struct lb6_reverse_nat);
SHARED(struct lb6_service);
SHARED(struct lb6_src_range_key);
SHARED(struct lb_affinity_match);
SHARED(struct lb_affinity_val);
SHARED(union macaddr);
SHARED(struct mcast_subscriber_v4);
SHARED(struct metrics_key);
SHARED(struct metrics_value);
SHARED(struct nat_entry);
SHARED(struct node_key);
SHARED(struct node_value);
SHARED(struct policy_entry);
SHARED(struct policy_key);
SHARED(struct policy_stats_key);
SHARED(struct policy_stats_value);
SHARED(struct policy_verdict_notify);
SHARED(struct ratelimit_key);
SHARED(struct ratelimit_metrics_key);
SHARED(struct ratelimit_metrics_value);
SHARED(struct ratelimit_value);
SHARED(struct remote_endpoint_info);
SHARED(struct skip_lb4_key);
SHARED(struct skip_lb6_key);
SHARED(struct srv6_policy_key4);
SHARED(struct srv6_policy_key6);
SHARED(struct srv6_vrf_key4);
SHARED(struct srv6_vrf_key6);
SHARED(struct trace_notify);
SHARED(struct trace_sock_notify);
SHARED(union v4addr);
SHARED(union v6addr);
SHARED(struct vtep_key);
SHARED(struct vtep_value);
