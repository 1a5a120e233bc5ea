/* kill -9 at any moment of a start. While the directory is being made: the next start finishes the
 * making or begins it anew, and serves. While an existing one is being opened, time after time:
 * what was acknowledged is there at the end, and each opening left the directory as good as it was.
 *
 *     kill_starts [TIMES [SEED]]      of each, default 15 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/prng.h"
#include "base/status.h"
#include "tests/integration/known_state.h"
#include "tests/integration/server_process.h"
#include "tests/integration/whole_state.h"

enum { START_US_MAX = 60000 };

static struct known_state state;
static struct prng prng;

/* Start and kill after a while in which it may or may not get ready. */
static void start_and_kill(struct server_process *s)
{
    uint64_t until_us = prng_below(&prng, START_US_MAX);
    server_process_spawn(s);
    struct timespec t = {0, (long)until_us * 1000};
    nanosleep(&t, NULL);
    server_process_kill(s);
}

static void begin(struct server_process *s)
{
    server_process_init(s);
    s->extra[0] = "--segment-mib";
    s->extra[1] = "4";
}

/* One or more killed starts on a directory that does not exist yet, then one that must serve. */
static bool making_survives(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct server_process s;
        struct wire c;
        uint64_t token = 0;
        begin(&s);
        for (uint64_t n = 1 + prng_below(&prng, 3); n > 0; n--) start_and_kill(&s);
        bool good = server_process_start(&s) && wire_open(&c, s.port);
        good = good && wire_session(&c) == HF_OK && wire_acquire(&c, "a", 1, 0, &token) == HF_OK;
        if (good) wire_close(&c);
        server_process_close(&s, !good);
        if (!good) return false;
    }
    return true;
}

static bool opening_survives(unsigned times)
{
    struct server_process s;
    struct wire c;
    begin(&s);
    if (!server_process_start(&s)) return false;
    HF_ASSERT(wire_open(&c, s.port));
    HF_ASSERT(wire_session(&c) == HF_OK);
    bool good = known_state_add(&state, &c, 20, 40, 20000);
    server_process_kill(&s);
    wire_close(&c);
    for (unsigned i = 0; i < times && good; i++) {
        start_and_kill(&s);
        if (i % 5 != 4) continue;
        good = server_process_start(&s) && known_state_compare(&state, s.port) == HF_OK;
        server_process_kill(&s);
    }
    good = good && server_process_start(&s) && known_state_compare(&state, s.port) == HF_OK;
    good = good && server_process_stop(&s) == 0 && whole_state_holds(&s);
    server_process_close(&s, !good);
    return good;
}

int main(int argc, char **argv)
{
    unsigned times = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 15;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    prng_seed(&prng, seed);
    bool making = making_survives(times);
    bool opening = making && opening_survives(times);
    printf("times=%u seed=%" PRIu64 " making=%s opening=%s\n", times, seed,
           making ? "ok" : "FAILED", opening ? "ok" : "FAILED");
    return making && opening ? 0 : 1;
}
