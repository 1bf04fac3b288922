"""What looks after files that are stored already: it catalogues, moves, checks and counts them, without output."""
