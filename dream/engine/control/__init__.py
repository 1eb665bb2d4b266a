"""Control models: ControlNets, control-LoRAs and T2I-Adapters, and what they do to the steps."""
