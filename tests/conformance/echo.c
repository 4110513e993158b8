/* A peer for `vfiipc examine`: sends back every message that it receives.
 *
 *     cc -O2 -pthread -o echo echo.c
 *     ./echo PORT PREFIX LIMIT
 *
 * It listens on 127.0.0.1, with a thread for each connection. The comments name the rules of
 * spec/framing.md that the lines below them keep. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER 12
#define PIECE 65536

static unsigned char prefix[4];
static uint32_t limit;

struct receiver {
    unsigned char *held; /* grows with what has arrived, never with what a header claims (4.3) */
    size_t start, end, room;
};

/* Room for one more piece; what was used up makes way once it is half of the buffer. */
static int make_room(struct receiver *r)
{
    if (r->start > r->room / 2) {
        memmove(r->held, r->held + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    if (r->room - r->end < PIECE) {
        size_t room = 2 * r->room + PIECE;
        unsigned char *held = realloc(r->held, room);

        if (held == NULL)
            return 0;
        r->held = held;
        r->room = room;
    }
    return 1;
}

/* The length of the message at the front, or 0 if more is needed. */
static size_t next_message(struct receiver *r)
{
    for (;; r->start++) {
        /* FRM-R2, FRM-R3: drop what cannot be the beginning of a prefix */
        for (; r->start < r->end; r->start++) {
            size_t left = r->end - r->start;

            if (memcmp(r->held + r->start, prefix, left < 4 ? left : 4) == 0)
                break;
        }
        if (r->end - r->start < 8)
            return 0; /* FRM-R4 */

        const unsigned char *s = r->held + r->start + 4;
        uint32_t size = (uint32_t)s[0] << 24 | (uint32_t)s[1] << 16 | (uint32_t)s[2] << 8 | s[3];

        if (size >= 4 && size - 4 <= limit) {
            size_t length = 8 + (size_t)size;

            return r->end - r->start < length ? 0 : length; /* FRM-R6 */
        }
        /* FRM-R5: a bad size; drop one byte */
    }
}

static int send_all(int fd, const unsigned char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);

        if (sent <= 0)
            return 0;
        data += sent;
        length -= (size_t)sent;
    }
    return 1;
}

static void *serve(void *argument)
{
    int fd = (int)(intptr_t)argument, one = 1;
    struct receiver r = {NULL, 0, 0, 0};
    ssize_t got = 0;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (make_room(&r) && (got = recv(fd, r.held + r.end, PIECE, 0)) > 0) {
        size_t length;

        r.end += (size_t)got;
        while ((length = next_message(&r)) > 0) {
            if (!send_all(fd, r.held + r.start, length))
                goto done;
            r.start += length; /* FRM-R7 */
        }
    }
done:
    close(fd);
    free(r.held);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    if (argc != 4) {
        fprintf(stderr, "usage: echo PORT PREFIX LIMIT\n");
        return 2;
    }
    uint32_t number = htonl((uint32_t)strtoul(argv[2], NULL, 0));

    memcpy(prefix, &number, sizeof prefix);
    limit = (uint32_t)strtoul(argv[3], NULL, 0);
    at.sin_port = htons((uint16_t)atoi(argv[1]));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 64) < 0) {
        perror("echo");
        return 1;
    }
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            continue;
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
            close(fd);
        else
            pthread_detach(thread);
    }
}
