/* One symbol: its tape, and what is watched on it; see lane.c. */
#ifndef STOCKPIPELINE_LANE_H
#define STOCKPIPELINE_LANE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "program.h"
#include "stream.h"
#include "tick.h"

#define BAR_FIELDS 5

/* The attributes of stockpipeline.signals.tape.Tape; see there. */
typedef struct {
    PyObject_HEAD
    long long bar, opens_ms, closes_ms, newest_ms, newest_number;
    double open, high, low, close, volume;
    long long trade_ms;
    double trade_price, trade_volume;
    double quiet_low, quiet_high;
    long long quiet_until;
} Tape;

typedef struct {
    Stream *stream;
    int slot; /* of its first output */
    int inputs[MAX_INPUTS]; /* positions among the bar's fields */
} Column;

typedef struct {
    Program *program;
    int slot; /* behind the vector */
} Term;

/* Leaves to Python what is below or above. */
typedef struct {
    int slot;
    double low, high;
} Bound;

typedef struct {
    PyObject_HEAD
    PyObject *symbol;
    Tape *tape;
    long partition;
    int watching; /* 0: every tick is for Python */
    Bound *bounds;
    Py_ssize_t bound_count;
    Program **programs;
    Py_ssize_t program_count;
    Column *columns;
    Py_ssize_t column_count;
    Term *terms; /* what several programs read: computed once */
    Py_ssize_t term_count;
    double *past;
    unsigned long long changed_in; /* the last batch that changed it */
} Lane;

extern PyTypeObject TapeType, LaneType;

/* Let a tick revise the forming bar, if that is all it does. Returns 0, and has changed nothing, when it is
   for Python: the tick may be refused, begin a bar, or let a rule fire. now: room for a vector. */
int lane_take(Lane *lane, const Tick *tick, double *now);

#endif
