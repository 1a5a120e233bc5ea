/* Nothing acknowledged is lost: a server is killed (kill -9) at random moments under load and
 * started again, and after each start every grant and every completed record that was ever
 * acknowledged must still be there, and new fencing tokens must be above all old ones.
 *
 *     kill_loop [KILLS [SEED]]        default 3 kills; prints one summary line, exit 1 on a loss
 *
 * Between kill and start nothing is asked. At the end the server is stopped, and all invariants of
 * its state hold. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "tests/integration/acknowledged.h"
#include "tests/integration/server_process.h"
#include "tests/integration/whole_state.h"

int main(int argc, char **argv)
{
    unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct prng prng;
    struct acknowledged_counts counts;
    struct server_process server;
    prng_seed(&prng, seed);
    server_process_init(&server);
    if (!server_process_start(&server)) return 1;

    unsigned lost = 0;
    acknowledged_start(server.address);
    for (unsigned k = 0; k < kills && lost == 0; k++) {
        sleep_ms(50 + prng_below(&prng, 700));
        server_process_kill(&server);
        uint64_t above = acknowledged_token_max();
        if (!server_process_start(&server)) return 1;
        lost += acknowledged_check_token(above, k);
        lost += acknowledged_check((unsigned)prng_below(&prng, ACKNOWLEDGED_WORKERS));
    }
    lost += acknowledged_stop(&counts);
    printf("kills=%u grants=%u records=%u not_acknowledged=%u lost=%u token_max=%" PRIu64
           " seed=%" PRIu64 "\n",
           kills, counts.grants, counts.records, counts.unknown, lost, acknowledged_token_max(),
           seed);
    if (server_process_stop(&server) != 0 || !whole_state_holds(&server)) lost++;
    server_process_close(&server, lost != 0);
    return lost == 0 ? 0 : 1;
}
