/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Everything that differs from node to node or endpoint to endpoint.
 *
 * Each option is a read-only variable which the loader sets by name before the object is loaded.
 * The verifier knows the value by then and drops the code behind an option that is off. The
 * description stays in the object as a BTF declaration tag, so the list of options can be printed
 * from the object alone.
 *
 * Numbers are in host byte order. Addresses and MACs are bytes as they stand in a packet. Times
 * are in seconds.
 */
#pragma once

#include "types.h"

#define DECLARE_CONFIG(type, name, initial, description) \
	const volatile type name __attribute__((btf_decl_tag("config:" description))) = initial

/* The endpoint */

DECLARE_CONFIG(__u16, endpoint_id, 0, "Number of the endpoint");
DECLARE_CONFIG(union v4addr, endpoint_ipv4, {}, "IPv4 address of the endpoint");
DECLARE_CONFIG(union v6addr, endpoint_ipv6, {}, "IPv6 address of the endpoint");
DECLARE_CONFIG(__u32, security_label, 0, "Security identity of the endpoint");
DECLARE_CONFIG(__u32, interface_ifindex, 0,
	       "Index of the host side of the endpoint's interface pair");
DECLARE_CONFIG(union macaddr, interface_mac, {},
	       "MAC of the host side of the endpoint's interface pair");
DECLARE_CONFIG(bool, enforce_ingress, true, "Drop what no entry of the policy map allows in");
DECLARE_CONFIG(bool, enforce_egress, true, "Drop what no entry of the policy map allows out");
DECLARE_CONFIG(bool, policy_audit_mode, false, "Report what policy denies, but let it pass");
DECLARE_CONFIG(__u32, policy_verdict_log_filter, 0xffff,
	       "Verdicts to report: bit 0 ingress, bit 1 egress");
DECLARE_CONFIG(bool, enable_source_ip_verification, true,
	       "Drop packets whose source is not the endpoint");
DECLARE_CONFIG(bool, enable_endpoint_routes, false, "Routes lead to the endpoint's own interface");
DECLARE_CONFIG(bool, enable_arp_responder, true, "Answer ARP requests of the endpoint");

/* The node */

DECLARE_CONFIG(union macaddr, cilium_host_mac, {}, "MAC of cilium_host");
DECLARE_CONFIG(__u32, cilium_net_ifindex, 0, "Index of cilium_net");
DECLARE_CONFIG(union v6addr, router_ipv6, {},
	       "IPv6 address of the node's router, the gateway of its endpoints");
DECLARE_CONFIG(union v4addr, service_loopback_ipv4, {},
	       "IPv4 source of an endpoint's traffic to itself through a service");
DECLARE_CONFIG(__u32, world_id_ipv4, 9,
	       "Identity of IPv4 addresses outside the cluster (2 on a single-family node)");
DECLARE_CONFIG(__u32, world_id_ipv6, 10,
	       "Identity of IPv6 addresses outside the cluster (2 on a single-family node)");

/* Which parts are on */

DECLARE_CONFIG(bool, enable_ipv4, true, "Handle IPv4");
DECLARE_CONFIG(bool, enable_ipv6, true, "Handle IPv6");
DECLARE_CONFIG(bool, enable_ipv4_fragments, true, "Track IPv4 fragments for their ports");
DECLARE_CONFIG(bool, enable_ipv6_fragments, true, "Track IPv6 fragments for their ports");
DECLARE_CONFIG(bool, enable_icmp_fragments, true, "Let fragmented pings pass like whole ones");
DECLARE_CONFIG(bool, enable_sctp, false, "Handle SCTP");
DECLARE_CONFIG(bool, enable_icmp_rule, true, "Match ICMP types as ports in policy");
DECLARE_CONFIG(bool, allow_icmp_frag_needed, true,
	       "Let ICMP fragmentation-needed pass without policy");
DECLARE_CONFIG(bool, enable_host_routing, false,
	       "Route by the program instead of the host's stack");
DECLARE_CONFIG(bool, enable_identity_mark, true, "Carry identities in the packet mark");
DECLARE_CONFIG(bool, enable_per_packet_lb, false, "Translate service addresses packet by packet");
DECLARE_CONFIG(bool, enable_service_protocol_differentiation, true,
	       "Services of one address differ by protocol");
DECLARE_CONFIG(bool, enable_no_backend_response, true,
	       "Answer packets to a service without backends by ICMP");

/* Conntrack */

DECLARE_CONFIG(bool, enable_conntrack_accounting, false,
	       "Count packets and bytes of each connection");
DECLARE_CONFIG(__u32, ct_connection_lifetime_tcp, 8000, "Life of an established TCP connection");
DECLARE_CONFIG(__u32, ct_connection_lifetime_nontcp, 60, "Life of any other connection");
DECLARE_CONFIG(__u32, ct_service_lifetime_tcp, 8000, "Life of a service's TCP connection");
DECLARE_CONFIG(__u32, ct_service_lifetime_nontcp, 60, "Life of a service's other connections");
DECLARE_CONFIG(__u32, ct_syn_timeout, 60, "Life of a TCP connection that only saw its SYN");
DECLARE_CONFIG(__u32, ct_close_timeout, 10, "Life of a TCP connection that closed");
DECLARE_CONFIG(__u32, ct_report_interval, 5, "Time between trace reports of a connection");

/* What is told about packets */

DECLARE_CONFIG(bool, enable_drop_notify, true, "Report dropped packets");
DECLARE_CONFIG(bool, enable_trace_notify, true, "Report forwarded packets");
DECLARE_CONFIG(bool, enable_policy_verdict_notify, true, "Report policy verdicts");
DECLARE_CONFIG(bool, enable_policy_accounting, true,
	       "Count packets and bytes of each policy entry");
DECLARE_CONFIG(bool, enable_local_delivery_metrics, true,
	       "Count forwarded packets at delivery to local endpoints");
DECLARE_CONFIG(bool, debug, false, "Send debug messages");
DECLARE_CONFIG(__u8, monitor_aggregation, 0,
	       "Fewer reports: 0 all, 1 none of received packets, 3 one per connection, flag and "
	       "interval");
DECLARE_CONFIG(__u32, trace_payload_len, 128, "Packet bytes in a report");
DECLARE_CONFIG(__u32, events_rate_limit, 0, "Reports of one kind a second, 0 for no limit");
DECLARE_CONFIG(__u32, events_burst_limit, 0, "Reports of one kind at once");
