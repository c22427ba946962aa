"""`[control]`: the commands that inject and heal faults, written by drivers instead of by hand.

`commands_of_parts` is what the rest of the suite uses: it adds commands to the parts of a deployment.
Nothing here runs a command or touches the network.
"""
