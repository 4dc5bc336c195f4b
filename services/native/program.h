/* Conditions of rules as small programs; see program.c. */
#ifndef STOCKPIPELINE_PROGRAM_H
#define STOCKPIPELINE_PROGRAM_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct {
    int operation;
    int argument;
    double constant;
} Instruction;

typedef struct {
    PyObject_HEAD
    Instruction *code;
    Py_ssize_t length;
} Program;

extern PyTypeObject ProgramType;

/* Whether the condition holds; a division by zero makes it not hold. Where a value is not known (NaN, infinite)
   the answer means nothing.
   now: the vector of the forming bar; past: those of closed bars, newest first, one after the other. */
int program_holds(const Program *program, const double *now, const double *past);

#endif
