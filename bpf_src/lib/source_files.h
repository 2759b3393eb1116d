/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The numbers by which counters and notifications name a source file. They are an interface: a
 * number never gets another meaning. Up to 200 they are Cilium's, files that Cilium does not have
 * count from 201.
 */
#pragma once

#define SOURCE_FILES(FILE)             \
	FILE(1, "bpf_host.c")          \
	FILE(2, "bpf_lxc.c")           \
	FILE(3, "bpf_overlay.c")       \
	FILE(4, "bpf_xdp.c")           \
	FILE(5, "bpf_sock.c")          \
	FILE(6, "bpf_network.c")       \
	FILE(7, "bpf_wireguard.c")     \
	FILE(101, "arp.h")             \
	FILE(102, "drop.h")            \
	FILE(103, "srv6.h")            \
	FILE(104, "icmp6.h")           \
	FILE(105, "nodeport.h")        \
	FILE(106, "lb.h")              \
	FILE(107, "mcast.h")           \
	FILE(108, "ipv4.h")            \
	FILE(109, "conntrack.h")       \
	FILE(110, "local_delivery.h")  \
	FILE(111, "trace.h")           \
	FILE(112, "encap.h")           \
	FILE(113, "encrypt.h")         \
	FILE(114, "host_firewall.h")   \
	FILE(115, "nodeport_egress.h") \
	FILE(116, "ipv6.h")            \
	FILE(117, "classifiers.h")     \
	FILE(201, "from_container.h")  \
	FILE(202, "to_container.h")    \
	FILE(203, "service.h")         \
	FILE(204, "fragments.h")

#define SOURCE_FILE_IF_NAMED(id, name) +(__builtin_strcmp(__FILE_NAME__, name) == 0 ? (id) : 0)

/* The number of the file in which this stands; a file without one does not compile. */
#define SOURCE_FILE_ID                                                       \
	({                                                                   \
		enum { number = 0 SOURCE_FILES(SOURCE_FILE_IF_NAMED) };      \
		_Static_assert(number, "the file has no number: " __FILE__); \
		(__u8) number;                                               \
	})
