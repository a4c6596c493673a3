"""Classical moments: energy, torque, ground state."""
