/* The commands of holdfast-jepsen: each is one file with one function. */
#ifndef JEPSEN_COMMAND_H
#define JEPSEN_COMMAND_H

#include "base/assert.h"

enum { EXIT_USAGE = 64, EXIT_NO_INPUT = 66 };

/** Judge a history. Exit code: 0 it fits, 1 it does not, 2 it breaks the format, 3 undecided.
 * \param argc  words in argv. \param argv  what follows the command's name; argv[argc] = NULL. */
HF_MUST_USE
int command_check(int argc, char **argv);

#endif
