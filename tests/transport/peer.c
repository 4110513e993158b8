/* A peer that shares no code with the package: messages over TCP with poll(2) and a parser of its own.
 *
 *     peer PORT COUNT PIECE
 *
 * connects to 127.0.0.1:PORT, sends COUNT messages of its own, and sends back every message that it
 * receives with its ID made negative. It sends at most PIECE bytes at once. At the end of the stream
 * it sends what is left and exits with 0; with 1 on a system error, with 2 on a bad header. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PREFIX 0x01020304u
#define MOST_DATA (1u << 20)

struct buffer {
    unsigned char *bytes;
    size_t start, end, room;
};

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static unsigned char *space(struct buffer *buffer, size_t size)
{
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
    if (buffer->end + size > buffer->room) {
        buffer->room = 2 * buffer->room + size;
        buffer->bytes = realloc(buffer->bytes, buffer->room);
        if (buffer->bytes == NULL)
            give_up("realloc");
    }
    return buffer->bytes + buffer->end;
}

static void put_number(unsigned char *where, uint32_t number)
{
    where[0] = (unsigned char)(number >> 24);
    where[1] = (unsigned char)(number >> 16);
    where[2] = (unsigned char)(number >> 8);
    where[3] = (unsigned char)number;
}

static uint32_t get_number(const unsigned char *where)
{
    return (uint32_t)where[0] << 24 | (uint32_t)where[1] << 16 | (uint32_t)where[2] << 8 | where[3];
}

/* Adds the header of a message to what is to be sent, and gives the place of its data. */
static unsigned char *put_message(struct buffer *out, uint32_t id, uint32_t size)
{
    unsigned char *header = space(out, 12 + (size_t)size);

    put_number(header, PREFIX);
    put_number(header + 4, 4 + size);
    put_number(header + 8, id);
    out->end += 12 + (size_t)size;
    return header + 12;
}

static void put_own_messages(struct buffer *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = i * i * 7 % 5000;
        unsigned char *data = put_message(out, i, size);

        for (uint32_t k = 0; k < size; k++)
            data[k] = (unsigned char)(i + k);
    }
}

/* Sends back every whole message of what came in. */
static void answer(struct buffer *in, struct buffer *out)
{
    while (in->end - in->start >= 8) {
        const unsigned char *header = in->bytes + in->start;
        uint32_t size = get_number(header + 4);

        if (get_number(header) != PREFIX || size < 4 || size - 4 > MOST_DATA) {
            fprintf(stderr, "bad header: %08x %08x\n", get_number(header), size);
            exit(2);
        }
        if (in->end - in->start - 8 < size)
            return;
        memcpy(put_message(out, -get_number(header + 8), size - 4), header + 12, size - 4);
        in->start += 8 + (size_t)size;
    }
}

static int call(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        give_up("connect");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        give_up("setsockopt");
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        give_up("fcntl");
    return fd;
}

/* 1 while the peer may send more, 0 after its end. */
static int receive(int fd, struct buffer *in)
{
    ssize_t count = recv(fd, space(in, 4096), 4096, 0);

    if (count < 0 && errno != EAGAIN && errno != EINTR)
        give_up("recv");
    if (count > 0)
        in->end += (size_t)count;
    return count != 0;
}

static void transmit(int fd, struct buffer *out, size_t piece)
{
    size_t left = out->end - out->start;
    ssize_t count = send(fd, out->bytes + out->start, left < piece ? left : piece, MSG_NOSIGNAL);

    if (count < 0 && errno != EAGAIN && errno != EINTR)
        give_up("send");
    if (count > 0)
        out->start += (size_t)count;
}

int main(int argc, char **argv)
{
    struct buffer in = {0}, out = {0};
    int open = 1, fd;

    if (argc != 4) {
        fprintf(stderr, "peer PORT COUNT PIECE\n");
        return 1;
    }
    fd = call(argv[1]);
    put_own_messages(&out, (uint32_t)atoi(argv[2]));
    while (open || out.start < out.end) {
        struct pollfd ready = {.fd = fd};

        ready.events = (short)((open ? POLLIN : 0) | (out.start < out.end ? POLLOUT : 0));
        if (poll(&ready, 1, -1) < 0 && errno != EINTR)
            give_up("poll");
        if (open && ready.revents & (POLLIN | POLLHUP | POLLERR)) {
            open = receive(fd, &in);
            answer(&in, &out);
        }
        if (ready.revents & POLLOUT)
            transmit(fd, &out, (size_t)atoi(argv[3]));
    }
    if (in.start != in.end) {
        fprintf(stderr, "a message was cut short\n");
        return 2;
    }
    close(fd);
    free(in.bytes);
    free(out.bytes);
    return 0;
}
