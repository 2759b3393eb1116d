/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* An iterator that writes one line an entry of a map with __u32 keys and values. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *key;
	void *value;
};

#pragma clang attribute pop

/* entries whose key is below it are passed over in silence */
volatile const __u32 lowest;

SEC("iter/bpf_map_elem")
int lines(struct bpf_iter__bpf_map_elem *ctx)
{
	static const char format[] = "%u %u\n";
	__u32 *key = ctx->key, *value = ctx->value;
	__u64 numbers[2];

	if (!key || !value || *key < lowest)
		return 0;
	numbers[0] = *key;
	numbers[1] = *value;
	bpf_seq_printf(ctx->meta->seq, format, sizeof(format), numbers, sizeof(numbers));
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
