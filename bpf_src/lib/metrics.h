/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Counters of forwarded and dropped packets. */
#pragma once

#include "drop_reasons.h"
#include "types.h"

enum metric_dir {
	METRIC_INGRESS = 1,
	METRIC_EGRESS = 2,
	METRIC_SERVICE = 3,
};

struct metrics_key {
	__u8 reason;
	__u8 dir : 2, pad : 6;
	__u16 line;
	__u8 file;
	__u8 reserved[3];
};

struct metrics_value {
	__u64 count;
	__u64 bytes;
};

_Static_assert(sizeof(struct metrics_key) == 8, "metrics_key");
_Static_assert(sizeof(struct metrics_value) == 16, "metrics_value");

/* reason, direction, place in the source -> packets and bytes, per CPU */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__type(key, struct metrics_key);
	__type(value, struct metrics_value);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} cilium_metrics SEC(".maps");

__verified_alone int update_metrics_at(__u32 bytes, __u8 dir, __u8 reason, __u16 line, __u8 file)
{
	struct metrics_key key = { .reason = reason, .dir = dir, .line = line, .file = file };
	struct metrics_value *value, first;

	value = bpf_map_lookup_elem(&cilium_metrics, &key);
	if (likely(value)) {
		value->count++;
		value->bytes += bytes;
		return 0;
	}
	first.count = 1;
	first.bytes = bytes;
	bpf_map_update_elem(&cilium_metrics, &key, &first, BPF_ANY);
	return 0;
}

/*
 * Cilium's number of a source file; a number must never be given twice. Folded to a constant by
 * the compiler.
 */
static __always_inline __u8 source_file_id(const char *name)
{
#define SOURCE_FILE(id, known)              \
	if (!__builtin_strcmp(name, known)) \
		return id;
	SOURCE_FILE(1, "bpf_host.c")
	SOURCE_FILE(2, "bpf_lxc.c")
	SOURCE_FILE(3, "bpf_overlay.c")
	SOURCE_FILE(4, "bpf_xdp.c")
	SOURCE_FILE(5, "bpf_sock.c")
	SOURCE_FILE(6, "bpf_network.c")
	SOURCE_FILE(101, "arp.h")
	SOURCE_FILE(102, "drop.h")
	SOURCE_FILE(104, "icmp6.h")
	SOURCE_FILE(106, "lb.h")
	SOURCE_FILE(109, "conntrack.h")
	SOURCE_FILE(110, "local_delivery.h")
	SOURCE_FILE(111, "trace.h")
#undef SOURCE_FILE
	return 0;
}

#define update_metrics(bytes, dir, reason) \
	update_metrics_at(bytes, dir, reason, __LINE__, source_file_id(__FILE_NAME__))
