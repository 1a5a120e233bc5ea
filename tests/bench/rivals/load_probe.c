/* What a request after a silence cannot be faster than on this machine: two round trips over
 * loopback TCP (client and leader, leader and follower) and one synced write of 4 KiB into a file
 * whose blocks are there. After each second of silence both are timed; the JSON line has their
 * percentiles in microseconds.
 *
 *     load_probe FOLDER ROUNDS */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/rivals/load.h"

enum { BLOCK_BYTES = 4096, FILE_BLOCKS = 1024, TRIPS = 2, MESSAGE_BYTES = 100 };

/* A process that sends back what it gets. Returns a socket to it. */
static int start_echo(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int one = 1;
    int door = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(door, (struct sockaddr *)&address, size) != 0 || listen(door, 1) != 0 ||
        getsockname(door, (struct sockaddr *)&address, &size) != 0) {
        load_fail("no socket to listen on: %m");
    }
    if (fork() == 0) {
        char text[MESSAGE_BYTES];
        int fd = accept(door, NULL, NULL);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        ssize_t n = 0;
        while ((n = read(fd, text, sizeof text)) > 0 && write(fd, text, (size_t)n) == n) {
        }
        _exit(0);
    }
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, size) != 0) load_fail("no echo: %m");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)close(door);
    return fd;
}

static int make_file(const char *folder)
{
    static const char block[BLOCK_BYTES];
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/probe", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; fd >= 0 && i < FILE_BLOCKS; i++) {
        if (write(fd, block, sizeof block) != BLOCK_BYTES) load_fail("%s: %m", path);
    }
    if (fd < 0 || fsync(fd) != 0) load_fail("%s: %m", path);
    return fd;
}

static void print(const char *key, const struct histogram *h, const char *end)
{
    (void)printf("\"%s\": {\"p50\": %llu, \"p99\": %llu, \"max\": %llu}%s", key,
                 (unsigned long long)histogram_at(h, 500), (unsigned long long)histogram_at(h, 990),
                 (unsigned long long)h->max, end);
}

int main(int argc, char **argv)
{
    static struct histogram sync_us;
    static struct histogram trips_us;
    static struct histogram both_us;
    static const char block[BLOCK_BYTES] = "x";
    char text[MESSAGE_BYTES] = "";
    if (argc != 3) load_fail("load_probe FOLDER ROUNDS");
    unsigned long rounds = strtoul(argv[2], NULL, 10);
    int echo = start_echo();
    int file = make_file(argv[1]);
    for (unsigned long i = 0; i < rounds; i++) {
        (void)sleep(1);
        uint64_t from_ns = load_now_ns();
        for (int trip = 0; trip < TRIPS; trip++) {
            if (write(echo, text, sizeof text) != MESSAGE_BYTES ||
                recv(echo, text, sizeof text, MSG_WAITALL) != MESSAGE_BYTES) {
                load_fail("the echo is gone");
            }
        }
        uint64_t middle_ns = load_now_ns();
        off_t at = (off_t)(i % FILE_BLOCKS) * BLOCK_BYTES;
        if (pwrite(file, block, sizeof block, at) != BLOCK_BYTES || fdatasync(file) != 0) {
            load_fail("a synced write failed: %m");
        }
        uint64_t end_ns = load_now_ns();
        histogram_add(&trips_us, (middle_ns - from_ns) / 1000);
        histogram_add(&sync_us, (end_ns - middle_ns) / 1000);
        histogram_add(&both_us, (end_ns - from_ns) / 1000);
    }
    (void)printf("{");
    print("two_round_trips_us", &trips_us, ", ");
    print("synced_write_us", &sync_us, ", ");
    print("both_us", &both_us, "}\n");
    return 0;
}
