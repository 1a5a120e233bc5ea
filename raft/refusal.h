/* Why a server refused to start: one or two sentences for people, with the file, the offset and
 * what to do. Filled by whoever refuses, printed by main. */
#ifndef RAFT_REFUSAL_H
#define RAFT_REFUSAL_H

struct refusal {
    char text[512]; /**< NUL-terminated; empty unless something was refused */
};

/** Write the sentence and hand `status` back, so that a caller can `return refuse(...)`.
 * \param r  Out. \param status  what to return. \param format  printf's. */
int refuse(struct refusal *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
