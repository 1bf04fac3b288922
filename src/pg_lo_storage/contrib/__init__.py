"""Large objects in the interfaces of other libraries, each a module that needs its library."""
