/* See base/planted.h. Only in a build with HF_PLANTED. */
#include "base/planted.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

enum planted_bug planted_now;

struct bug {
    const char *name;     /**< as planted() takes it */
    const char *sentence; /**< what is broken, and which promise with it */
};

#define HF_PLANTED_ROW(number, name, sentence) [number] = {#name, sentence},
static const struct bug bugs[PLANTED_END] = {HF_PLANTED_BUGS(HF_PLANTED_ROW)};
#undef HF_PLANTED_ROW

const char *planted_name(unsigned number)
{
    return number < PLANTED_END ? bugs[number].name : NULL;
}

const char *planted_sentence(unsigned number)
{
    return number < PLANTED_END ? bugs[number].sentence : NULL;
}

int planted_choose(const char *number)
{
    size_t digits = strspn(number, "0123456789");
    if (digits == 0 || digits > 3 || number[digits] != '\0') return HF_EINVAL;
    unsigned long chosen = strtoul(number, NULL, 10);
    if (chosen != 0 && planted_name((unsigned)chosen) == NULL) return HF_EINVAL;
    planted_now = (enum planted_bug)chosen;
    return HF_OK;
}

/* Before main, so that every program of such a build can be told, and none needs to know. */
__attribute__((constructor)) static void choose_from_environment(void)
{
    const char *number = getenv("HOLDFAST_PLANTED");
    if (number == NULL || number[0] == '\0') return;
    if (planted_choose(number) != HF_OK) {
        fprintf(stderr, "HOLDFAST_PLANTED=%s: there is no planted bug of this number; see %s\n",
                number, "base/planted_bugs.h");
        exit(64);
    }
    if (planted_now == PLANTED_NONE) return;
    fprintf(stderr, "this process has the planted bug %s: %s\n", number,
            planted_sentence((unsigned)planted_now));
}
