/* How long nobody is granted anything when the leader dies: it is killed (kill -9) at random
 * moments under sixteen callers and started again, and after each kill the longest time without a
 * grant is measured. No call may fail, tokens rise, nobody shares a lock.
 *
 *     kill_leader [KILLS [SEED [stop]]]   default 3 kills; prints the sorted gaps, exit 1 on
 *                                         anything wrong or on a gap of more than 5 s
 *
 * With `stop` the leader falls silent instead (SIGSTOP), and goes on when the others have served
 * for a while: its connections stand, so that nothing but its silence tells the clients to leave
 * it.
 *
 * The time from the kill to the first grant holds the election time-out of the others (they must
 * not take a pause for a death), the election, and the callers' way to the new leader. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/prng.h"
#include "tests/integration/cluster_process.h"
#include "tests/integration/grant_load.h"
#include "tests/integration/whole_state.h"

enum { KILLS_MAX = 10000, GRANTS_AFTER = 200, WATCH_MS = 1500, GAP_MS_MAX = 5000 };

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* \return the longest gap from the kill to a while after service is back. */
static uint64_t kill_once(struct cluster_process *c, struct grant_load *l, bool stop)
{
    unsigned leader = cluster_process_leader(c);
    uint64_t until = now_ms() + WATCH_MS;
    grant_load_mark(l);
    if (stop) {
        server_process_pause(&c->servers[leader]);
    } else {
        server_process_kill(&c->servers[leader]);
    }
    uint64_t count = grant_load_count(l);
    while (now_ms() < until || grant_load_count(l) < count + GRANTS_AFTER) {
        if (grant_load_longest_us(l) > (uint64_t)GAP_MS_MAX * 1000) break;
        sleep_ms(5);
    }
    uint64_t longest_us = grant_load_longest_us(l);
    if (stop) server_process_resume(&c->servers[leader]);
    return longest_us;
}

static void print_gaps(uint64_t *gaps_us, unsigned kills)
{
    qsort(gaps_us, kills, sizeof *gaps_us, by_size);
    printf("gaps in ms:");
    for (unsigned k = 0; k < kills; k++) printf(" %" PRIu64, gaps_us[k] / 1000);
    printf("\nkills=%u median_ms=%" PRIu64 " worst_ms=%" PRIu64 "\n", kills,
           gaps_us[kills / 2] / 1000, gaps_us[kills - 1] / 1000);
}

int main(int argc, char **argv)
{
    static uint64_t gaps_us[KILLS_MAX];
    unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    bool stop = argc > 3;
    struct prng prng;
    struct cluster_process cluster;
    struct grant_load load;
    HF_ASSERT(kills >= 1 && kills <= KILLS_MAX);
    prng_seed(&prng, seed);
    cluster_process_init(&cluster, CLUSTER_PROCESSES);
    if (!cluster_process_start(&cluster)) return 1;
    grant_load_start(&load, cluster.addresses);
    bool good = true;
    unsigned done = 0;
    while (done < kills && good) {
        sleep_ms(300 + prng_below(&prng, 700));
        gaps_us[done] = kill_once(&cluster, &load, stop);
        good = gaps_us[done] <= (uint64_t)GAP_MS_MAX * 1000 && load.wrong == 0;
        done++;
        good = cluster_process_start(&cluster) && good;
    }
    uint64_t grants = grant_load_count(&load);
    good = grant_load_stop(&load) && good;
    print_gaps(gaps_us, done);
    printf("grants=%" PRIu64 " wrong=%u seed=%" PRIu64 "\n", grants, load.wrong, seed);
    good = cluster_process_agree(&cluster) && good;
    good = cluster_process_stop(&cluster) && good;
    for (unsigned i = 0; i < CLUSTER_PROCESSES; i++)
        good = whole_state_holds(&cluster.servers[i]) && good;
    cluster_process_close(&cluster, !good);
    return good ? 0 : 1;
}
