/* Runs every layer, for instruction counts: tests/bench/instructions has valgrind count what
 * happens inside measured(), and write down the sum each time it returns.
 *
 *     bench_layers          all of them, in order, the name of each on a line
 *
 * The work is warm: a layer has done it WARM_COUNT times before the count begins. */
#include "tests/bench/layers.h"

#include <stddef.h>
#include <stdio.h>

#include "base/assert.h"

enum { WARM_COUNT = 512, WORK_COUNT = 1024 };

static const struct layer *const rooms[] = {layers_protocol, layers_store, layers_log,
                                            layers_machine};

/* callgrind finds measured() by its name: it may not be inlined, nor cloned under another one. */
#if defined(__clang__)
#define KEPT_WHOLE __attribute__((noinline))
#else
#define KEPT_WHOLE __attribute__((noipa))
#endif

KEPT_WHOLE static void measured(const struct layer *layer, void *state)
{
    layer->work(state, WORK_COUNT);
}

int main(void)
{
    for (size_t i = 0; i < HF_ARRAY_COUNT(rooms); i++) {
        for (const struct layer *layer = rooms[i]; layer->name != NULL; layer++) {
            void *state = layer->make();
            layer->work(state, WARM_COUNT);
            measured(layer, state);
            layer->take_down(state);
            printf("%s %d\n", layer->name, WORK_COUNT);
        }
    }
    return 0;
}
