/* A tick in the plain form that nearly all messages have; see tick.c. */
#ifndef STOCKPIPELINE_TICK_H
#define STOCKPIPELINE_TICK_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct {
    const char *symbol; /* into the message */
    Py_ssize_t symbol_length;
    double price, volume;
    long long ts;
    long long seq; /* 0: the source does not number its ticks */
} Tick;

/* Read a message. Returns 1 and fills in the tick when it is a plain tick of the regular session, and 0 when
   only the general decoder can tell what it is. */
int tick_read(const char *text, Py_ssize_t length, Tick *tick);

#endif
