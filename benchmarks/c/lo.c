/* Reads, writes or unlinks large objects with libpq's lo_read and lo_write, as fast as they go, and prints what it cost.

   lo CONNINFO read OID BUFFER REPEATS WAIT [PATH]    read the object; with PATH write it to that file
   lo CONNINFO keep OID BUFFER REPEATS WAIT           read the object into memory that holds all of it
   lo CONNINFO write PATH BUFFER REPEATS WAIT         make objects of that file, and unlink them afterwards
   lo CONNINFO replace PATH BUFFER REPEATS WAIT       make an object of that file and unlink one that was there
   lo CONNINFO delete PATH BUFFER REPEATS WAIT        unlink objects of that file, which were made before

   With WAIT 1 it says "ready" before it begins and "done" after, and waits for a line each time. The backend is warmed first: glibc hands chunks
   of more than 128 KB back to the system one by one until a larger one was freed.
   https://www.postgresql.org/docs/current/lo-interfaces.html */

#include <fcntl.h>
#include <libpq-fe.h>
#include <libpq/libpq-fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define WARMING 4194304

static PGconn *connection;

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s", what, PQerrorMessage(connection));
	exit(1);
}

static void run(const char *statement)
{
	PGresult *result = PQexec(connection, statement);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail(statement);
	PQclear(result);
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static double own_cpu(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double backend_cpu(void)
{
	char path[64];
	unsigned long long nanoseconds = 0;
	snprintf(path, sizeof path, "/proc/%d/schedstat", PQbackendPID(connection));
	FILE *file = fopen(path, "r");
	if (!file || fscanf(file, "%llu", &nanoseconds) != 1)
		nanoseconds = 0;
	if (file)
		fclose(file);
	return nanoseconds / 1e9;
}

static long memory(const char *field)
{
	char line[256];
	long kilobytes = 0;
	FILE *file = fopen("/proc/self/status", "r");
	while (file && fgets(line, sizeof line, file))
		if (!strncmp(line, field, strlen(field)))
			kilobytes = atol(line + strlen(field));
	if (file)
		fclose(file);
	return kilobytes * 1024;
}

static void forget_peak(void)
{
	FILE *file = fopen("/proc/self/clear_refs", "w");
	if (file) {
		fputs("5", file);
		fclose(file);
	}
}

static void warm(char *buffer)
{
	run("BEGIN");
	int descriptor = lo_open(connection, lo_creat(connection, INV_READ | INV_WRITE), INV_READ);
	if (descriptor < 0 || lo_read(connection, descriptor, buffer, WARMING) != 0)
		fail("warm-up");
	run("ROLLBACK");
}

static long long read_object(Oid oid, char *buffer, size_t size, const char *path, double *first)
{
	long long total = 0;
	int count, out = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
	double begin = now();
	run("BEGIN");
	int descriptor = lo_open(connection, oid, INV_READ);
	if (descriptor < 0 || (path && out < 0))
		fail("open");
	while ((count = lo_read(connection, descriptor, buffer, size)) > 0) {
		if (!total)
			*first += now() - begin;
		if (path && write(out, buffer, count) != count)
			fail("write to the file");
		total += count;
	}
	if (count < 0 || lo_close(connection, descriptor) < 0)
		fail("lo_read");
	run("COMMIT");
	if (path)
		close(out);
	return total;
}

static long long keep_object(Oid oid, size_t size, double *first)
{
	double begin = now();
	run("BEGIN");
	int count, descriptor = lo_open(connection, oid, INV_READ);
	long long total = 0, length = lo_lseek64(connection, descriptor, 0, SEEK_END);
	if (descriptor < 0 || length < 0 || lo_lseek64(connection, descriptor, 0, SEEK_SET) < 0)
		fail("open");
	char *whole = malloc(length + 1);
	if (!whole)
		fail("memory");
	while ((count = lo_read(connection, descriptor, whole + total,
				length - total < (long long)size ? length - total : (long long)size)) > 0) {
		if (!total)
			*first += now() - begin;
		total += count;
	}
	if (count < 0 || lo_close(connection, descriptor) < 0)
		fail("lo_read");
	run("COMMIT");
	free(whole);
	return total;
}

/* Makes an object of the file, and where there is one before unlinks that, in one transaction. */
static long long write_object(Oid *oid, char *buffer, size_t size, const char *path)
{
	long long total = 0;
	ssize_t count;
	Oid before = *oid;
	int in = open(path, O_RDONLY);
	run("BEGIN");
	*oid = lo_creat(connection, INV_READ | INV_WRITE);
	int descriptor = lo_open(connection, *oid, INV_WRITE);
	if (descriptor < 0 || in < 0)
		fail("open");
	while ((count = read(in, buffer, size)) > 0) {
		if (lo_write(connection, descriptor, buffer, count) != count)
			fail("lo_write");
		total += count;
	}
	if (count < 0 || lo_close(connection, descriptor) < 0)
		fail("lo_close");
	if (before && lo_unlink(connection, before) < 0)
		fail("lo_unlink");
	run("COMMIT");
	close(in);
	return total;
}

static void delete_object(Oid *oid)
{
	if (lo_unlink(connection, *oid) < 0)
		fail("lo_unlink");
	*oid = 0;
}

int main(int argc, char **argv)
{
	if (argc < 7)
		return 2;
	int keeping = !strcmp(argv[2], "keep"), reading = keeping || !strcmp(argv[2], "read");
	int deleting = !strcmp(argv[2], "delete");
	size_t size = strtoul(argv[4], NULL, 10);
	int repeats = atoi(argv[5]), wait = atoi(argv[6]);
	const char *path = reading ? (argc > 7 ? argv[7] : NULL) : argv[3];
	char *buffer = malloc(size > WARMING ? size : WARMING);
	Oid *oids = calloc(repeats, sizeof *oids);
	connection = PQconnectdb(argv[1]);
	if (!buffer || !oids || PQstatus(connection) != CONNECTION_OK)
		fail("connect");
	warm(buffer);
	long long total = 0, made = 0;
	if (deleting || !strcmp(argv[2], "replace"))
		for (int i = 0; i < repeats; i++)
			made = write_object(&oids[i], buffer, size, path);
	if (wait) {
		puts("ready");
		fflush(stdout);
		getchar();
	}
	forget_peak();
	long long resident = memory("VmRSS:");
	double first = 0, client = own_cpu(), server = backend_cpu(), begin = now();
	for (int i = 0; i < repeats; i++) {
		if (keeping)
			total += keep_object(strtoul(argv[3], NULL, 10), size, &first);
		else if (reading)
			total += read_object(strtoul(argv[3], NULL, 10), buffer, size, path, &first);
		else if (!deleting)
			total += write_object(&oids[i], buffer, size, path);
		else {
			delete_object(&oids[i]);
			total += made;
		}
	}
	double seconds = now() - begin;
	client = own_cpu() - client;
	server = backend_cpu() - server;
	if (wait) {
		puts("done");
		fflush(stdout);
		getchar();
	}
	printf("{\"seconds\": %.9f, \"first_byte\": ", seconds / repeats);
	if (reading)
		printf("%.9f", first / repeats);
	else
		printf("null");
	printf(", \"client_cpu\": %.9f, \"server_cpu\": %.9f, \"memory\": %lld, \"bytes\": %lld}\n", client / repeats,
	       server / repeats, memory("VmHWM:") - resident, total / repeats);
	fflush(stdout);
	for (int i = 0; i < repeats; i++)
		if (oids[i])
			lo_unlink(connection, oids[i]);
	PQfinish(connection);
	return 0;
}
