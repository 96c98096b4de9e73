"""SRM v2.2: operations, their forms and answers, and JSON as one encoding."""
