"""The C functions we call: name, result, arguments, and how a failure shows. One line each."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, NamedTuple

from cilium_py.libbpf import structs
from cilium_py.libbpf.checkers import (
    Checker,
    negative_is_errno,
    negative_is_errno_of,
    null_is_errno,
    null_is_errno_of,
)

c_count = POINTER(c_uint32)
c_length = POINTER(c_size_t)
c_batch_opts = POINTER(structs.bpf_map_batch_opts)

# int (*)(enum libbpf_print_level, const char *, va_list). A va_list travels as one pointer on 64-bit ABIs.
print_fn = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)
ring_buffer_sample_fn = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)
perf_buffer_sample_fn = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_void_p, c_uint32)
perf_buffer_lost_fn = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_uint64)


class c_path(c_char_p):
    """A `const char *` that takes str, bytes and Path."""

    @classmethod
    def from_param(cls, value: str | bytes | os.PathLike[str] | None) -> Any:  # whatever ctypes wants here
        return None if value is None else c_char_p(os.fsencode(value))


class Signature(NamedTuple):
    """One C function. Any: ctypes has no public type for "a C type" or for a raw result."""

    result: Any
    arguments: tuple[Any, ...]
    check: Checker | None = None


SIGNATURES = {
    # library
    "libbpf_major_version": Signature(c_uint32, ()),
    "libbpf_minor_version": Signature(c_uint32, ()),
    "libbpf_set_print": Signature(c_void_p, (print_fn,)),
    "libbpf_num_possible_cpus": Signature(c_int, (), negative_is_errno),
    # pins and ids
    "bpf_obj_pin": Signature(c_int, (c_int, c_path), negative_is_errno_of(1)),
    "bpf_obj_get_opts": Signature(c_int, (c_path, POINTER(structs.bpf_obj_get_opts)), negative_is_errno_of(0)),
    "bpf_obj_get_info_by_fd": Signature(c_int, (c_int, c_void_p, c_count), negative_is_errno),
    "bpf_map_get_fd_by_id_opts": Signature(
        c_int, (c_uint32, POINTER(structs.bpf_get_fd_by_id_opts)), negative_is_errno
    ),
    "bpf_prog_get_fd_by_id": Signature(c_int, (c_uint32,), negative_is_errno),
    "bpf_link_get_fd_by_id": Signature(c_int, (c_uint32,), negative_is_errno),
    "bpf_btf_get_fd_by_id": Signature(c_int, (c_uint32,), negative_is_errno),
    "bpf_map_get_next_id": Signature(c_int, (c_uint32, c_count), negative_is_errno),
    "bpf_prog_get_next_id": Signature(c_int, (c_uint32, c_count), negative_is_errno),
    "bpf_link_get_next_id": Signature(c_int, (c_uint32, c_count), negative_is_errno),
    # maps
    "bpf_map_create": Signature(
        c_int,
        (c_int, c_char_p, c_uint32, c_uint32, c_uint32, POINTER(structs.bpf_map_create_opts)),
        negative_is_errno,
    ),
    "bpf_map_lookup_elem_flags": Signature(c_int, (c_int, c_void_p, c_void_p, c_uint64), negative_is_errno),
    "bpf_map_update_elem": Signature(c_int, (c_int, c_void_p, c_void_p, c_uint64), negative_is_errno),
    "bpf_map_delete_elem": Signature(c_int, (c_int, c_void_p), negative_is_errno),
    "bpf_map_get_next_key": Signature(c_int, (c_int, c_void_p, c_void_p), negative_is_errno),
    "bpf_map_freeze": Signature(c_int, (c_int,), negative_is_errno),
    # batches: the caller reads count beside the error, so these return it unchecked
    "bpf_map_lookup_batch": Signature(c_int, (c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_count, c_batch_opts)),
    "bpf_map_lookup_and_delete_batch": Signature(
        c_int, (c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_count, c_batch_opts)
    ),
    "bpf_map_update_batch": Signature(c_int, (c_int, c_void_p, c_void_p, c_count, c_batch_opts)),
    "bpf_map_delete_batch": Signature(c_int, (c_int, c_void_p, c_count, c_batch_opts)),
    # objects
    "bpf_object__open_file": Signature(c_void_p, (c_path, POINTER(structs.bpf_object_open_opts)), null_is_errno_of(0)),
    "bpf_object__load": Signature(c_int, (c_void_p,), negative_is_errno),
    "bpf_object__close": Signature(None, (c_void_p,)),
    "bpf_object__btf": Signature(c_void_p, (c_void_p,)),
    "btf__raw_data": Signature(c_void_p, (c_void_p, c_count), null_is_errno),
    "bpf_object__next_map": Signature(c_void_p, (c_void_p, c_void_p)),
    "bpf_object__next_program": Signature(c_void_p, (c_void_p, c_void_p)),
    "bpf_map__name": Signature(c_char_p, (c_void_p,)),
    "bpf_map__fd": Signature(c_int, (c_void_p,), negative_is_errno),
    "bpf_map__type": Signature(c_int, (c_void_p,)),
    "bpf_map__key_size": Signature(c_uint32, (c_void_p,)),
    "bpf_map__value_size": Signature(c_uint32, (c_void_p,)),
    "bpf_map__max_entries": Signature(c_uint32, (c_void_p,)),
    "bpf_map__set_max_entries": Signature(c_int, (c_void_p, c_uint32), negative_is_errno),
    "bpf_map__map_flags": Signature(c_uint32, (c_void_p,)),
    "bpf_map__set_map_flags": Signature(c_int, (c_void_p, c_uint32), negative_is_errno),
    "bpf_map__autocreate": Signature(c_bool, (c_void_p,)),
    "bpf_map__set_autocreate": Signature(c_int, (c_void_p, c_bool), negative_is_errno),
    "bpf_map__is_internal": Signature(c_bool, (c_void_p,)),
    "bpf_map__pin_path": Signature(c_char_p, (c_void_p,)),
    "bpf_map__set_pin_path": Signature(c_int, (c_void_p, c_path), negative_is_errno_of(1)),
    "bpf_map__reuse_fd": Signature(c_int, (c_void_p, c_int), negative_is_errno),
    "bpf_map__initial_value": Signature(c_void_p, (c_void_p, c_length), null_is_errno),
    # programs
    "bpf_program__name": Signature(c_char_p, (c_void_p,)),
    "bpf_program__section_name": Signature(c_char_p, (c_void_p,)),
    "bpf_program__fd": Signature(c_int, (c_void_p,), negative_is_errno),
    "bpf_program__insn_cnt": Signature(c_size_t, (c_void_p,)),
    "bpf_program__set_log_level": Signature(c_int, (c_void_p, c_uint32), negative_is_errno),
    "bpf_program__set_log_buf": Signature(c_int, (c_void_p, c_void_p, c_size_t), negative_is_errno),
    "bpf_program__autoload": Signature(c_bool, (c_void_p,)),
    "bpf_program__set_autoload": Signature(c_int, (c_void_p, c_bool), negative_is_errno),
    "bpf_prog_test_run_opts": Signature(c_int, (c_int, POINTER(structs.bpf_test_run_opts)), negative_is_errno),
    "bpf_enable_stats": Signature(c_int, (c_int,), negative_is_errno),
    # links
    "bpf_link_create": Signature(
        c_int, (c_int, c_int, c_int, POINTER(structs.bpf_link_create_opts)), negative_is_errno
    ),
    "bpf_link_update": Signature(c_int, (c_int, c_int, POINTER(structs.bpf_link_update_opts)), negative_is_errno),
    "bpf_link_detach": Signature(c_int, (c_int,), negative_is_errno),
    "bpf_iter_create": Signature(c_int, (c_int,), negative_is_errno),
    # buffers
    "ring_buffer__new": Signature(c_void_p, (c_int, ring_buffer_sample_fn, c_void_p, c_void_p), null_is_errno),
    "ring_buffer__poll": Signature(c_int, (c_void_p, c_int), negative_is_errno),
    "ring_buffer__consume": Signature(c_int, (c_void_p,), negative_is_errno),
    "ring_buffer__epoll_fd": Signature(c_int, (c_void_p,), negative_is_errno),
    "ring_buffer__free": Signature(None, (c_void_p,)),
    "perf_buffer__new": Signature(
        c_void_p,
        (c_int, c_size_t, perf_buffer_sample_fn, perf_buffer_lost_fn, c_void_p, c_void_p),
        null_is_errno,
    ),
    "perf_buffer__poll": Signature(c_int, (c_void_p, c_int), negative_is_errno),
    "perf_buffer__consume": Signature(c_int, (c_void_p,), negative_is_errno),
    "perf_buffer__epoll_fd": Signature(c_int, (c_void_p,), negative_is_errno),
    "perf_buffer__free": Signature(None, (c_void_p,)),
}
