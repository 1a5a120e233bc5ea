/* holdfast-jepsen: looks at holdfast from outside, as its clients see it.
 *
 *     holdfast-jepsen run ...                                    real clusters under real faults
 *     holdfast-jepsen check --model lock|idem|fencedreg FILE     judge a history
 *
 * Exit code 64: no such command, or wrong arguments; the others are each command's own. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "jepsen/command.h"
#include "jepsen/run/run.h"

struct command {
    const char *name;
    const char *what;
    int (*run)(int argc, char **argv); /* arguments behind the name; the exit code */
};

static const struct command commands[] = {
    {"run", "real servers, clients and faults in network namespaces", run_main},
    {"check", "judge a history of operations", command_check},
};

static int explain(FILE *out, int code)
{
    fprintf(out, "usage: holdfast-jepsen COMMAND ...\n");
    for (size_t i = 0; i < HF_ARRAY_COUNT(commands); i++)
        fprintf(out, "  %-8s %s (holdfast-jepsen %s --help)\n", commands[i].name, commands[i].what,
                commands[i].name);
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2) return explain(stderr, EXIT_USAGE);
    if (strcmp(argv[1], "--help") == 0) return explain(stdout, 0);
    for (size_t i = 0; i < HF_ARRAY_COUNT(commands); i++) {
        if (strcmp(commands[i].name, argv[1]) == 0) return commands[i].run(argc - 2, argv + 2);
    }
    fprintf(stderr, "holdfast-jepsen: no command \"%s\"\n", argv[1]);
    return explain(stderr, EXIT_USAGE);
}
