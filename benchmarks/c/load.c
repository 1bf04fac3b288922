/* Asks a web server for one file, again and again, by several clients at a time that count what they get.

   load PORT PATH BYTES CLIENTS REQUESTS

   Each client keeps its connection where the server does, and sends a request when it has had the answer before. A line
   of JSON says how many seconds all requests took, and the median and the 99th percentile of a single one. An answer
   that is not 200 with so many BYTES ends it. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 60 /* seconds */

static int port;
static char question[1024];
static long long bytes;
static int requests;
static atomic_int asked;
static double *latencies;

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *reason)
{
	printf("{\"seconds\": 0, \"bytes\": 0, \"error\": \"%s\"}\n", reason);
	exit(0);
}

static int dial(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	struct timeval patience = {.tv_sec = PATIENCE};
	int one = 1, client = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(client, (struct sockaddr *)&address, sizeof address) < 0)
		fail("no connection");
	return client;
}

/* Returns whether the connection stays open; -1 where it had been closed before the answer began. */
static int ask(int client)
{
	static __thread char head[1 << 16];
	size_t filled = 0;
	char *end = NULL, *length;
	if (send(client, question, strlen(question), MSG_NOSIGNAL) < 0)
		return -1;
	while (!end) {
		ssize_t got = recv(client, head + filled, sizeof head - 1 - filled, 0);
		if (got <= 0 && !filled)
			return -1;
		if (got <= 0)
			fail("the answer ends in its head");
		filled += got;
		head[filled] = 0;
		end = strstr(head, "\r\n\r\n");
	}
	*end = 0;
	if (strncmp(head, "HTTP/1.1 200", 12))
		fail("the status is not 200");
	if (!(length = strcasestr(head, "\r\ncontent-length:")) || atoll(length + 17) != bytes)
		fail("the answer has another size");
	/* Counted, not copied: the client is not what is measured. */
	for (long long rest = bytes - (long long)(head + filled - (end + 4)); rest > 0;) {
		ssize_t got = recv(client, NULL, rest, MSG_TRUNC);
		if (got <= 0)
			fail("the answer ends before its end");
		rest -= got;
	}
	return !strcasestr(head, "\r\nconnection: close");
}

static void *run(void *unused)
{
	int client = -1, number;
	while ((number = asked++) < requests) {
		double begin = now();
		int fresh = client < 0, kept = ask(client = fresh ? dial() : client);
		if (kept < 0 && !fresh) { /* a server may close what was kept */
			close(client);
			kept = ask(client = dial());
		}
		if (kept < 0)
			fail("no answer");
		latencies[number] = now() - begin;
		if (!kept) {
			close(client);
			client = -1;
		}
	}
	if (client >= 0)
		close(client);
	return unused;
}

static int by_size(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;
	return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	port = atoi(argv[1]);
	snprintf(question, sizeof question, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[2]);
	bytes = atoll(argv[3]);
	requests = atoi(argv[5]);
	latencies = calloc(requests, sizeof *latencies);
	int clients = atoi(argv[4]);
	pthread_t threads[clients];
	double begin = now();
	for (int number = 0; number < clients; number++)
		if (pthread_create(&threads[number], NULL, run, NULL))
			fail("no thread");
	for (int number = 0; number < clients; number++)
		pthread_join(threads[number], NULL);
	double seconds = now() - begin;
	qsort(latencies, requests, sizeof *latencies, by_size);
	printf("{\"seconds\": %.9f, \"bytes\": %lld, \"p50\": %.9f, \"p99\": %.9f}\n", seconds, bytes,
		latencies[requests / 2], latencies[requests * 99 / 100]);
	return 0;
}
