class FallbackKernel:
    @classmethod
    def create(cls, kernel):
        return [cls.__name__, kernel]
