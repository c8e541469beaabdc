# Adds DeepSpeed's compiled operators to the train image, for stacks with GPUs. The compiler comes from
# DEVEL and stays in a stage that is thrown away: neither nvcc nor CUDA's headers travel.
ARG BASE
ARG DEVEL
FROM ${DEVEL} AS devel

FROM ${BASE} AS compiled
COPY --from=devel /usr/local/cuda-12.6/ /usr/local/cuda/
COPY build/ /opt/kit/build/
RUN CUDA_HOME=/usr/local/cuda PATH=/usr/local/cuda/bin:$PATH TORCH_CUDA_ARCH_LIST="8.0;8.6;8.9;9.0" \
    HOME=/tmp/home python /opt/kit/build/build_ops.py /ops

FROM ${BASE}
COPY --from=compiled /ops/ /opt/kit/
# First for the note of the operators, whose bytecode lies in the base; then for what the proof imports.
RUN export HOME=/tmp/home PYTHONHASHSEED=0; python /opt/kit/build/keep_bytecode.py \
    && python /opt/kit/build/smoke_ops.py \
    && python /opt/kit/build/keep_bytecode.py \
    && rm -rf /tmp/* /home/kit/.[!.]*
ARG INPUTS
LABEL kit.inputs=${INPUTS}
