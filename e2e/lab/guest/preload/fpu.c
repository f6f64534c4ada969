/*
 * The FPU state of a guest's processes on a CPU whose FPU state is larger than user-mode-linux supports.
 *
 * user-mode-linux keeps 2 696 bytes for each process, which covers AVX-512 and protection keys, and sets them with
 * PTRACE_SETREGSET before it lets the process run (arch/x86/um/os-Linux/registers.c). With AMX the state has 11 000
 * bytes, and the machine's kernel refuses a part of it with EFAULT (xstateregs_set, arch/x86/kernel/fpu/regset.c): the
 * guest panics at its first process, "userspace - ptrace set fp regs failed, errno = 14". So the caller's bytes are set
 * as the beginning of the whole state, and the rest is zero.
 *
 * Nothing is lost with the rest. The header in the caller's bytes (XSTATE_BV, Intel SDM 13.4.2) says which components
 * the kernel is to load: a component that it does not name gets its initial state, whatever its bytes are. The only
 * component in the rest that it could name is TILECFG, whose initial state is zero, too; the tile data need a
 * permission (ARCH_REQ_XCOMP_PERM) that no process of the guest requests from this machine's kernel.
 */
#include "libc.h"

static long (*host_ptrace)(int, pid_t, void *, void *);

/* The caller's bytes, then zeros. 64 KiB is the limit; static because user-mode-linux's stacks have 16 KiB. */
static char state[64 << 10];
static size_t whole; /* bytes that the machine's kernel requires; 0 = it accepts a part */

/* Finds the size of the whole state; false if the caller's part is not smaller. */
static bool measure(pid_t pid, size_t part)
{
	struct iovec all = {state, sizeof state};
	if (host_ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &all) || all.iov_len <= part)
		return false;
	memset(state, 0, sizeof state);
	whole = all.iov_len;
	return true;
}

long ptrace(int request, pid_t pid, void *kind, void *data)
{
	if (!host_ptrace && !(host_ptrace = dlsym(RTLD_NEXT, "ptrace")))
		abort();
	switch (request) {
	case PTRACE_CONT:
	case PTRACE_SYSCALL:
	case PTRACE_SINGLESTEP:
	case PTRACE_SYSEMU:
	case PTRACE_SYSEMU_SINGLESTEP:
		note_running(pid);
	}
	if (request != PTRACE_SETREGSET || kind != NT_X86_XSTATE)
		return host_ptrace(request, pid, kind, data);
	struct iovec *part = data;
	if (!whole) {
		long code = host_ptrace(request, pid, kind, data);
		if (!code || errno != EFAULT)
			return code;
		if (!measure(pid, part->iov_len)) {
			errno = EFAULT;
			return code;
		}
	}
	if (part->iov_len >= whole)
		return host_ptrace(request, pid, kind, data);
	memcpy(state, part->iov_base, part->iov_len);
	struct iovec all = {state, whole};
	return host_ptrace(request, pid, kind, &all);
}
