/* Nothing acknowledged is lost: all servers, one or three, are killed at once (kill -9) at random
 * moments under load and started again, and after each start every grant and every completed record
 * that was ever acknowledged must still be there, new fencing tokens must be above all old ones,
 * and three must have one state.
 *
 *     kill_loop [KILLS [SERVERS [SEED]]]      default 3 kills of 1 server; prints one summary line,
 *                                             exit 1 on a loss
 *
 * Between kill and start nothing is asked. At the end the servers are stopped, and all invariants
 * of each one's state hold. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "tests/integration/acknowledged.h"
#include "tests/integration/cluster_process.h"
#include "tests/integration/whole_state.h"

int main(int argc, char **argv)
{
    unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    unsigned servers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    struct prng prng;
    struct acknowledged_counts counts;
    struct cluster_process cluster;
    prng_seed(&prng, seed);
    cluster_process_init(&cluster, servers);
    if (!cluster_process_start(&cluster)) return 1;

    unsigned lost = 0;
    acknowledged_start(cluster.addresses);
    for (unsigned k = 0; k < kills && lost == 0; k++) {
        sleep_ms(50 + prng_below(&prng, 700));
        cluster_process_kill(&cluster);
        uint64_t above = acknowledged_token_max();
        if (!cluster_process_start(&cluster)) return 1;
        lost += acknowledged_check_token(above, k);
        lost += acknowledged_check((unsigned)prng_below(&prng, ACKNOWLEDGED_WORKERS));
    }
    lost += acknowledged_stop(&counts);
    printf("kills=%u servers=%u grants=%u records=%u not_acknowledged=%u lost=%u token_max=%" PRIu64
           " seed=%" PRIu64 "\n",
           kills, servers, counts.grants, counts.records, counts.unknown, lost,
           acknowledged_token_max(), seed);
    if (!cluster_process_agree(&cluster)) lost++;
    if (!cluster_process_stop(&cluster)) lost++;
    for (unsigned i = 0; i < servers; i++) {
        if (!whole_state_holds(&cluster.servers[i])) lost++;
    }
    cluster_process_close(&cluster, lost != 0);
    return lost == 0 ? 0 : 1;
}
