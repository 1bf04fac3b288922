/* Passes connections on to a PostgreSQL server, each byte later by a delay, and counts round trips.

   wire MICROSECONDS SOCKET-OR-PORT

   It listens on 127.0.0.1 and prints its port. The delay is for each way: 500 make a round trip 1 ms longer. The
   upstream is the path of a unix socket or a port of 127.0.0.1. For each line on standard input it prints how many
   ReadyForQuery messages the server has sent to all clients; at the end of standard input it exits.
   https://www.postgresql.org/docs/current/protocol-message-formats.html */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RING (2 << 20) /* a gigabyte a second puts half of it into a millisecond; it stays in the cache */
#define PIECES 65536
#define AT_ONCE (1 << 18)

static int64_t delay;
static const char *upstream;
static atomic_long round_trips;

/* One direction of one connection: bytes that wait in a ring, in pieces that arrived together. */
struct way {
	int from, to, counting;
	char *ring;
	uint64_t received, sent;	/* bytes, ever */
	struct { uint64_t end; int64_t due; } pieces[PIECES];
	uint64_t first, last;		/* pieces, ever */
	unsigned char header[5];	/* of the message that is passing */
	unsigned filled;
	uint64_t body;
};

static int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void count(struct way *way, const unsigned char *data, size_t size)
{
	while (size) {
		if (way->body) {
			size_t step = way->body < size ? way->body : size;
			way->body -= step;
			data += step;
			size -= step;
			continue;
		}
		way->header[way->filled++] = *data++;
		size--;
		if (way->filled == 5) {
			uint32_t length;
			memcpy(&length, way->header + 1, 4);
			way->body = ntohl(length) - 4;
			way->filled = 0;
			if (way->header[0] == 'Z')
				round_trips++;
		}
	}
}

/* Returns 0 at the end of the stream. */
static int receive(struct way *way)
{
	if (way->sent == way->received)
		way->sent = way->received = 0;
	size_t offset = way->received % RING, room = RING - (way->received - way->sent);
	size_t size = RING - offset < room ? RING - offset : room;
	ssize_t got = recv(way->from, way->ring + offset, size < AT_ONCE ? size : AT_ONCE, MSG_DONTWAIT);
	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	if (way->counting)
		count(way, (unsigned char *)way->ring + offset, got);
	way->received += got;
	way->pieces[way->last % PIECES].end = way->received;
	way->pieces[way->last % PIECES].due = now() + delay;
	way->last++;
	return 1;
}

/* Returns 0 where nobody takes it any more. */
static int deliver(struct way *way, int64_t time)
{
	while (way->first < way->last && way->pieces[way->first % PIECES].due <= time) {
		uint64_t end = way->pieces[way->first % PIECES].end;
		size_t offset = way->sent % RING, size = end - way->sent;
		if (size > RING - offset)
			size = RING - offset;
		ssize_t put = send(way->to, way->ring + offset, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put < 0)
			return errno == EAGAIN || errno == EINTR;
		way->sent += put;
		if (way->sent == end)
			way->first++;
	}
	return 1;
}

static void *run(void *argument)
{
	struct way *way = argument;
	int open = 1;
	prctl(PR_SET_TIMERSLACK, 1);
	while (open || way->sent < way->received) {
		int64_t wait = -1, time = now();
		int due = 0;
		if (way->first < way->last) {
			wait = way->pieces[way->first % PIECES].due - time;
			due = wait <= 0;
		}
		int room = open && way->received - way->sent < RING && way->last - way->first < PIECES;
		struct pollfd ends[2] = {{room ? way->from : -1, POLLIN, 0}, {due ? way->to : -1, POLLOUT, 0}};
		struct timespec timeout = {wait / 1000000000, wait % 1000000000};
		if (ppoll(ends, 2, wait > 0 ? &timeout : NULL, NULL) < 0 && errno != EINTR)
			break;
		if (ends[0].revents && !receive(way))
			open = 0;
		if (!deliver(way, now()))
			break;
	}
	shutdown(way->to, SHUT_WR);
	if (open)
		shutdown(way->from, SHUT_RD);
	return NULL;
}

static int connect_upstream(void)
{
	if (upstream[0] == '/') {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		strncpy(address.sun_path, upstream, sizeof address.sun_path - 1);
		int server = socket(AF_UNIX, SOCK_STREAM, 0);
		return connect(server, (struct sockaddr *)&address, sizeof address) ? -1 : server;
	}
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(upstream))};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int server = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	return connect(server, (struct sockaddr *)&address, sizeof address) ? -1 : server;
}

static void *serve(void *argument)
{
	int client = (int)(intptr_t)argument, server = connect_upstream(), yes = 1;
	struct way *up = calloc(1, sizeof *up), *down = calloc(1, sizeof *down);
	pthread_t thread;
	if (server < 0 || !up || !down || !(up->ring = malloc(RING)) || !(down->ring = malloc(RING)))
		exit(1);
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	up->from = down->to = client;
	up->to = down->from = server;
	down->counting = 1;
	pthread_create(&thread, NULL, run, up);
	run(down);
	pthread_join(thread, NULL);
	close(client);
	close(server);
	free(up->ring);
	free(down->ring);
	free(up);
	free(down);
	return NULL;
}

static void *accept_all(void *argument)
{
	int listener = (int)(intptr_t)argument, client;
	pthread_t thread;
	while ((client = accept(listener, NULL, NULL)) >= 0) {
		pthread_create(&thread, NULL, serve, (void *)(intptr_t)client);
		pthread_detach(thread);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof address;
	pthread_t thread;
	char line[100];
	if (argc != 3)
		return 2;
	delay = atoll(argv[1]) * 1000;
	upstream = argv[2];
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 100))
		return 1;
	getsockname(listener, (struct sockaddr *)&address, &length);
	pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)listener);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		printf("%ld\n", (long)round_trips);
		fflush(stdout);
	}
	return 0;
}
