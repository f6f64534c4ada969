/* A machine on which a guest kernel gets nowhere. */
int pause(void);

long ptrace(int request, int pid, void *address, void *data)
{
	for (;;)
		pause();
}
