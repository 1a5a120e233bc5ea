/* A real holdfastd for tests: started on a directory and a port of its own, killed, stopped,
 * paused and started again. Everything that it needs lies under one temporary folder, which is
 * removed at the end unless the test failed. */
#ifndef TESTS_INTEGRATION_SERVER_PROCESS_H
#define TESTS_INTEGRATION_SERVER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct server_process {
    char folder[64];       /**< temporary, below TMPDIR or /tmp; data/ and log are in it */
    char address[64];      /**< "127.0.0.1:PORT", good for the library and the command line */
    const char *extra[14]; /**< further arguments of holdfastd, NULL-terminated; borrowed */
    uint16_t port;         /**< the same at each start */
    pid_t pid;             /**< 0 = not running */
    bool quiet;            /**< a start that fails is expected: print nothing */
    int ended;             /**< wait status of the start that failed */
    long log_from;         /**< where the log of the last start begins */
};

/** Make the folder and draw a free port; does not start it. Aborts the test on failure. */
void server_process_init(struct server_process *s);

/** A port of 127.0.0.1 that nobody has just now, and no outgoing connection will be given. */
uint16_t server_process_draw_port(void);

/** Start holdfastd as server_process_start() does, and do not wait for anything. */
void server_process_spawn(struct server_process *s);

/** The wait of server_process_start(), for one that was spawned. */
bool server_process_await(struct server_process *s);

/** Start holdfastd (HOLDFASTD in the environment, else beside this program's build) and wait, at
 * most 30 s, until it says that it is ready. \return false: it did not; its log was printed. */
bool server_process_start(struct server_process *s);

/** The last line that it wrote, without its end. \param line  Out: NUL-terminated. */
void server_process_last_line(const struct server_process *s, char *line, size_t bytes);

/** kill -9 and reap. */
void server_process_kill(struct server_process *s);

/** SIGTERM and reap. \return its exit code, or 128 + the signal that ended it. */
int server_process_stop(struct server_process *s);

/** SIGSTOP and SIGCONT. */
void server_process_pause(struct server_process *s);
void server_process_resume(struct server_process *s);

/** Kill it if it runs and remove the folder, or keep it and say where. */
void server_process_close(struct server_process *s, bool keep);

/** Sleep; any thread. */
void sleep_ms(uint64_t ms);

/** CLOCK_MONOTONIC in milliseconds. */
uint64_t now_ms(void);

#endif
