/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Entries of a map to text, a batch at a time.
 *
 * User space puts a batch of keys and values, as the kernel returned them, into
 * `memory`, beside a list of steps, and runs this program with
 * BPF_PROG_TEST_RUN. It finds one stretch of text for each entry, end to end.
 * The kernel's compiler makes this about as fast as C, and nothing but a
 * verified program ever sees the entries. It has no part in any packet.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lib/format.h"
#include "lib/format_put.h"

#define STEPS_A_CALL 4

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The bytes of an entry that a step is about, from its offset on. */
static __always_inline __u64 load(__u32 offset, __u32 side)
{
	__u64 at = (__u64)(side ? memory.value_at : memory.key_at) + offset;

	IN_REGISTER(at);
	if (at > ENTRIES_ROOM - ENTRY_SLACK)
		return 0;
	return *(__u64 *)(memory.entries + at);
}

static __always_inline __u64 field(const struct format_step *step)
{
	__u64 raw = load(step->offset, step->side);

	if (step->big_endian)
		raw = bpf_be64_to_cpu(raw);
	return raw >> (step->shift & 63) & step->mask;
}

static __always_inline __u64 take_back(__u64 out, __u64 size)
{
	__u64 start = out - (size & 7);

	IN_REGISTER(start);
	return start > TEXT_ROOM ? 0 : start;
}

/* Seconds between the field and `now`; with a divisor it counts in jiffies >> 8. */
static __always_inline __u64 put_seconds(__u64 out, const struct format_step *step, __u64 ticks)
{
	__u64 now = step->bias;
	bool later;

	if (step->divisor) {
		ticks = (ticks << 8) / step->divisor;
		later = ticks > now;
	} else {
		later = (__s64)ticks > (__s64)now;
	}
	/* `width` says which of the two comes first. */
	if (later != !!step->width && ticks != now)
		memory.text[out++] = '-';
	return put_number(out, later ? ticks - now : now - ticks);
}

static __always_inline const struct format_name *name_of(const struct format_step *step,
							 __u64 number)
{
	__u32 slot = memory.slots[step->width % NAME_TABLES][number & 0xff];

	return number < 256 && slot < NAMES ? &memory.names[slot] : NULL;
}

static __always_inline __u64 put_text(__u64 out, const struct format_name *name)
{
	put_8(out, name->text[0]);
	put_8(out + 8, name->text[1]);
	put_8(out + 16, name->text[2]);
	return out + (name->size & 31);
}

static __always_inline __u64 put_literal(__u64 out, const struct format_step *step)
{
	__u64 *to = (__u64 *)(memory.text + out);
	__u32 size = step->size;

	to[0] = step->literal[0];
	if (size > 8) {
		to[1] = step->literal[1];
		to[2] = step->literal[2];
		if (size > 24)
			to[3] = step->literal[3];
	}
	return out + (size & 63);
}

static __always_inline bool holds(const struct format_step *step)
{
	__u64 value = field(step);

	return value >= step->bias && value <= step->most;
}

/* The name of the lowest bit that is left; while there are more, the step is not done. */
static __always_inline __u64 put_next_name(__u64 out, const struct format_step *step)
{
	__u64 bits = memory.bits ? memory.bits : field(step), lowest = bits & -bits;
	const struct format_name *name;

	if (!bits)
		return out;
	memory.bits = bits ^ lowest;
	name = name_of(step, bit_of[lowest * SEQUENCE >> 58]);
	if (name)
		out = put_text(out, name);
	if (memory.bits)
		memory.pc--;
	else
		out = take_back(out, step->most);
	return out;
}

/* The end of a cell: spaces, or with `measuring` a note of how long it is. */
static __always_inline __u64 end_cell(__u64 out, __u32 number)
{
	__u32 *width = &memory.widths[number % CELLS];
	__u32 length = out - memory.cell;

	if (memory.measuring) {
		if (length > *width)
			*width = length;
	} else if (length < *width && *width <= CELL_ROOM) {
#pragma unroll
		for (int at = 0; at < CELL_ROOM; at += 8)
			put_8(out + at, ASCII_SPACES);
		out = advance(out, (*width - length) & 255);
	}
	memory.cell = out;
	return out;
}

/* Take the step that is due; true if it was the last. */
static __always_inline bool step_on(void)
{
	__u64 pc = memory.pc, out = memory.out, number;
	const struct format_step *step;
	const struct format_name *name;

	IN_REGISTER(pc);
	IN_REGISTER(out);
	if (pc >= STEPS)
		return true;
	step = &memory.steps[pc];
	if (step->kind == FORMAT_WHEN && !holds(step)) {
		memory.pc = pc + 1 + step->width;
		return memory.pc >= memory.steps_count;
	}
	memory.pc = pc + 1;
	if (out > TEXT_ROOM - STEP_ROOM) {
		memory.full = 1;
		return true;
	}
	if (!memory.bits)
		out = put_literal(out, step);
	switch (step->kind) {
	case FORMAT_LITERAL:
	case FORMAT_WHEN:
		break;
	case FORMAT_NUMBER:
		out = put_number(out, field(step) - step->bias);
		break;
	case FORMAT_IP4:
		out = put_ip4(out, load(step->offset, step->side));
		break;
	case FORMAT_NAME:
		number = field(step);
		name = name_of(step, number);
		out = name ? put_text(out, name) : put_number(out, number);
		break;
	case FORMAT_HEX:
		out = put_hex(out, field(step), step->width);
		break;
	case FORMAT_SECONDS:
		out = put_seconds(out, step, field(step));
		break;
	case FORMAT_IP6:
		out = put_ip6(out, load(step->offset, step->side),
			      load(step->offset + 8, step->side), step->width);
		break;
	case FORMAT_MAC:
		out = put_mac(out, load(step->offset, step->side));
		break;
	case FORMAT_NAMES:
		out = put_next_name(out, step);
		break;
	case FORMAT_CELL:
		out = end_cell(out, step->width);
		break;
	case FORMAT_DROP:
		out = memory.line;
		memory.pc = memory.steps_count;
		break;
	}
	memory.out = out;
	return memory.pc >= memory.steps_count;
}

/* Some steps: to be called back costs about as much as three of them. */
static long some_steps(__u32 index, void *unused)
{
	(void)index;
	(void)unused;
#pragma unroll
	for (int step = 0; step < STEPS_A_CALL; step++)
		if (step_on())
			return 1;
	return 0;
}

static long one_entry(__u32 index, void *unused)
{
	(void)index;
	(void)unused;
	memory.pc = 0;
	memory.line = memory.cell = memory.out;
	bpf_loop((STEPS + NAMES) / STEPS_A_CALL, some_steps, NULL, 0);
	if (memory.full) {
		memory.out = memory.line;
		memory.bits = 0;
		return 1;
	}
	memory.kept += memory.out != memory.line;
	memory.done++;
	memory.key_at += memory.key_size;
	memory.value_at += memory.value_size;
	return 0;
}

/* From entry number `done` on, as many entries as there is room for. */
SEC("syscall")
int format(void *ctx)
{
	(void)ctx;
	memory.out = 0;
	memory.full = 0;
	bpf_loop(memory.count - memory.done, one_entry, NULL, 0);
	return 0;
}
